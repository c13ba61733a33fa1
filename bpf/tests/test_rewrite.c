/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/rewrite.h over frames in memory: what was right by a sum of all octets stays so, wherever a frame lies.
 */
#include "frame.h"

#define LB_MAY_GUE	1
#define LB_MAY_REDIRECT 1
#include "lb/rewrite.h"

#define ROUNDS 20000
#define ROOM   80 /* in front of a frame */

/* One's complement, of octets as they lie there; 0xffff: with its checksum among them it is right. */
static __u32 sum_of(const __u8 *octets, __u32 n)
{
	__u32 sum = 0;

	for (__u32 i = 0; i < n; i++)
		sum += (__u32)octets[i] << (i % 2 ? 0 : 8);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __u32 add(__u32 a, __u32 b)
{
	return (a + b) % 0xffff;
}

/* Of a UDP datagram with its pseudo-header; a multiple of 0xffff, so 0 here, if the checksum is right. */
static __u32 udp_sum(const __u8 *ip, const __u8 *udp)
{
	__u32 length = lb_read16(udp + 4);
	const __u8 *addresses = ip[0] >> 4 == 4 ? ip + 12 : ip + 8;

	return add(add(sum_of(addresses, ip[0] >> 4 == 4 ? 8 : 32), LB_PROTO_UDP + length),
		   sum_of(udp, length));
}

static void put_sums(__u8 *ip, __u8 *udp)
{
	__u32 rest;

	if (ip[0] >> 4 == 4)
		lb_store16(ip + 10, LB_BE16(~sum_of(ip, (ip[0] & 15) * 4)));
	rest = udp_sum(ip, udp);
	lb_store16(udp + 6, LB_BE16(0xffff - rest)); /* never 0, as RFC 768 wants it */
}

struct packet {
	__u8 memory[ROOM + FRAME_MAX];
	__u8 *frame, *end, *ip, *udp;
	__u32 ip_version, shape;
};

static void random_octets(void *to, __u32 n)
{
	for (__u32 i = 0; i < n; i++)
		((__u8 *)to)[i] = rand() % 4 ? rand() : -(rand() & 1);
}

/* A datagram between random addresses, with options or extension headers and tags, at an even or odd place. */
static void make(struct packet *packet, __u32 ip_version, __u32 payload)
{
	int tags = rand() % 3, more = rand() % 3;
	struct frame frame = {};

	frame_link(&frame, tags, ip_version == 4 ? LB_ETHERTYPE_IPV4 : LB_ETHERTYPE_IPV6);
	if (ip_version == 4) {
		frame_ipv4(&frame, more, LB_PROTO_UDP, 8 + payload);
	} else {
		frame_ipv6(&frame, more ? LB_PROTO_DSTOPTS : LB_PROTO_UDP, 8 * more + 8 + payload);
		if (more)
			frame_extension(&frame, LB_PROTO_DSTOPTS, LB_PROTO_UDP, 8 * more);
	}
	frame_udp(&frame, payload);
	packet->frame = packet->memory + ROOM - rand() % 2;
	packet->end = packet->frame + frame.length;
	memcpy(packet->frame, frame.octets, frame.length);
	packet->ip = packet->frame + LB_ETH_LENGTH + 4 * tags;
	packet->udp = packet->end - 8 - payload;
	packet->ip_version = ip_version;
	packet->shape = LB_SHAPE(LB_ETH_LENGTH + 4 * tags - 2, ip_version,
				 ip_version == 4 ? packet->ip[8] : packet->ip[7]);
	random_octets(ip_version == 4 ? packet->ip + 12 : packet->ip + 8, ip_version == 4 ? 8 : 32);
	random_octets(packet->udp, 4);
	random_octets(packet->udp + 8, payload);
	put_sums(packet->ip, packet->udp);
}

static __u32 words_sum(const __u32 *words)
{
	__u32 sum = 0;

	for (int i = 0; i < 4; i++)
		sum += lb_csum_word(words[i]);
	return lb_csum_fold(sum);
}

static void is_right(const struct packet *packet)
{
	if (packet->ip_version == 4)
		assert_int_equal(sum_of(packet->ip, (packet->ip[0] & 15) * 4), 0xffff);
	assert_int_equal(udp_sum(packet->ip, packet->udp), 0);
	assert_int_not_equal(lb_load16(packet->udp + 6), 0);
}

static void to_a_nat_server_and_back(void **state)
{
	struct lb_server server = {};
	struct packet packet;
	__u32 vip[4] = {};
	__u16 port;

	(void)state;
	srand(1);
	for (int round = 0; round < ROUNDS; round++) {
		__u32 v4 = round % 2, octets = v4 ? 4 : 16;
		__u8 *to, *from;

		make(&packet, v4 ? 4 : 6, rand() % 64);
		to = packet.ip + (v4 ? 16 : 24);
		from = packet.ip + (v4 ? 12 : 8);
		memset(server.destination, 0, sizeof(server.destination));
		random_octets(server.destination, octets);
		server.checksum = words_sum(server.destination);
		server.port = round % 3 ? rand() : 0;
		port = lb_load16(packet.udp + 2);
		lb_nat_forward(packet.ip, packet.udp, packet.ip_version, &server);
		is_right(&packet);
		assert_memory_equal(to, server.destination, octets);
		assert_int_equal(lb_load16(packet.udp + 2), server.port ? server.port : port);

		memset(vip, 0, sizeof(vip));
		random_octets(vip, octets);
		lb_readdress(packet.ip, packet.udp, packet.ip_version, LB_FROM, vip, words_sum(vip),
			     port);
		is_right(&packet);
		assert_memory_equal(from, vip, octets);
		assert_int_equal(lb_load16(packet.udp), port);
	}
}

/* No checksum stays none; a wrong one stays as wrong as it was. */
static void what_was_not_right(void **state)
{
	struct lb_server server = { .destination = { 0x01020304 }, .port = 1 };
	struct packet packet;

	(void)state;
	server.checksum = words_sum(server.destination);
	make(&packet, 4, 21);
	lb_store16(packet.udp + 6, 0);
	lb_nat_forward(packet.ip, packet.udp, 4, &server);
	assert_int_equal(lb_load16(packet.udp + 6), 0);
	assert_int_equal(sum_of(packet.ip, (packet.ip[0] & 15) * 4), 0xffff);
	for (int round = 0; round < ROUNDS; round++) {
		__u32 wrong;

		make(&packet, round % 2 ? 4 : 6, 21);
		lb_store16(packet.udp + 6, rand() | 1);
		wrong = udp_sum(packet.ip, packet.udp);
		server.port = rand() | 1;
		lb_nat_forward(packet.ip, packet.udp, packet.ip_version, &server);
		assert_int_equal(udp_sum(packet.ip, packet.udp), wrong);
	}
}

/* Every value that the port can make of a checksum: one of them would be zero. */
static void never_zero(void **state)
{
	struct lb_server server = { .destination = { 0x01020304 } };
	struct packet packet;
	__u32 ones = 0;

	(void)state;
	server.checksum = words_sum(server.destination);
	for (__u32 port = 1; port <= 0xffff; port++) {
		srand(2);
		make(&packet, 4, 21);
		server.port = port;
		lb_nat_forward(packet.ip, packet.udp, 4, &server);
		is_right(&packet);
		ones += lb_load16(packet.udp + 6) == 0xffff;
	}
	assert_int_equal(ones, 1);
}

static __u32 front_of(enum lb_mode mode)
{
	static const __u32 length[] = { [LB_MODE_L2DSR] = 0,
					[LB_MODE_IPIP4] = 20,
					[LB_MODE_IPIP6] = 40,
					[LB_MODE_GUE4] = 32,
					[LB_MODE_GUE6] = 52 };

	return length[mode];
}

static void fill_server(struct lb_server *server, enum lb_mode mode)
{
	__u32 six = mode == LB_MODE_IPIP6 || mode == LB_MODE_GUE6;
	__u32 rest = six ? LB_CONST16(LB_PROTO_UDP) : LB_CONST16(LB_IPV4_DF);

	memset(server, 0, sizeof(*server));
	random_octets(server, 12);
	random_octets(server->destination, six ? 16 : 4);
	random_octets(server->source, six ? 16 : 4);
	server->port = LB_CONST16(LB_GUE_PORT);
	server->checksum = lb_csum_fold(words_sum(server->destination) + words_sum(server->source) +
					rest + (six ? server->port : 0));
}

/* The outer headers of a frame that begins at `data`; `inner`: the packet behind them. */
static void outer_is_right(const __u8 *ip, const __u8 *inner, __u32 length, enum lb_mode mode)
{
	const __u8 *udp = inner - LB_GUE_LENGTH;

	if (mode == LB_MODE_IPIP4 || mode == LB_MODE_GUE4) {
		assert_int_equal(sum_of(ip, 20), 0xffff);
		assert_int_equal(lb_read16(ip + 2), inner - ip + length);
	} else {
		assert_int_equal(ip[0] >> 4, 6);
		assert_int_equal(lb_read16(ip + 4), inner - ip - 40 + length);
	}
	if (mode == LB_MODE_GUE4)
		assert_int_equal(lb_load16(udp + 6), 0);
	/* Without extension headers, which the balancer does not add up. */
	if (mode == LB_MODE_GUE6 && (inner[0] >> 4 == 4 || inner[6] == LB_PROTO_UDP))
		assert_int_equal(udp_sum(ip, udp), 0);
}

static void in_outer_headers(void **state)
{
	struct lb_server server;
	struct packet packet;

	(void)state;
	srand(3);
	for (int round = 0; round < ROUNDS; round++) {
		enum lb_mode mode = LB_MODE_L2DSR + round % 5;
		__u32 type_at, length;
		struct lb_outer outer;
		__u8 *data;

		make(&packet, round % 2 ? 4 : 6, rand() % 64);
		fill_server(&server, mode);
		type_at = LB_SHAPE_TYPE_AT(packet.shape);
		lb_outer_of(&outer, front_of(mode), packet.ip, packet.udp, packet.shape);
		data = packet.frame - outer.length;
		assert_true(
			lb_rewrite(data, packet.end, &server, type_at, packet.ip_version, &outer));
		assert_memory_equal(data, &server, 12);
		assert_int_equal(packet.ip[packet.ip_version == 4 ? 8 : 7],
				 LB_SHAPE_TTL(packet.shape) - 1);
		is_right(&packet);
		length = lb_ip_length(packet.ip, packet.ip_version);
		if (outer.length)
			outer_is_right(data + type_at + 2, packet.ip, length, mode);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_a_nat_server_and_back),
		cmocka_unit_test(what_was_not_right),
		cmocka_unit_test(never_zero),
		cmocka_unit_test(in_outer_headers),
	};

	return cmocka_run_group_tests_name("rewrite", tests, NULL, NULL);
}
