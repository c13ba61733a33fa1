/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/parse.h: which frames are unfragmented UDP, where their parts lie, and why others are not.
 */
#include "frame.h"

static void passes(const struct frame *frame, enum lb_reason reason)
{
	struct parsed parsed = frame_parse(frame);

	assert_int_equal(parsed.step, LB_PASS);
	assert_int_equal(LB_ROUTE_REASON(parsed.pkt.route), reason);
}

static void is_udp(const struct frame *frame, long ip, long udp, __u32 payload)
{
	struct parsed parsed = frame_parse(frame);

	assert_int_equal(parsed.step, LB_NEXT);
	assert_int_equal(parsed.ip, ip);
	assert_int_equal(parsed.udp, udp);
	assert_int_equal(parsed.pkt.payload_length, payload);
}

static void make4(struct frame *frame, int tags, int options, __u32 payload)
{
	frame_link(frame, tags, LB_ETHERTYPE_IPV4);
	frame_ipv4(frame, options, LB_PROTO_UDP, 8 + payload);
	frame_udp(frame, payload);
}

static void make6(struct frame *frame, int tags, __u32 payload)
{
	frame_link(frame, tags, LB_ETHERTYPE_IPV6);
	frame_ipv6(frame, LB_PROTO_UDP, 8 + payload);
	frame_udp(frame, payload);
}

static void fields_of_ipv4(void **state)
{
	struct frame frame;
	struct parsed parsed;

	(void)state;
	make4(&frame, 0, 0, 20);
	parsed = frame_parse(&frame);
	assert_int_equal(parsed.step, LB_NEXT);
	assert_int_equal(parsed.pkt.ip_version, 4);
	assert_int_equal(parsed.pkt.traffic_class, 0x2e);
	assert_int_equal(parsed.pkt.ttl, 64);
	assert_int_equal(parsed.pkt.ip_length, 48);
	assert_int_equal(parsed.pkt.link_length, 14);
	assert_int_equal(parsed.pkt.frame_length, 62);
}

static void fields_of_ipv6(void **state)
{
	struct frame frame;
	struct parsed parsed;

	(void)state;
	make6(&frame, 1, 20);
	parsed = frame_parse(&frame);
	assert_int_equal(parsed.step, LB_NEXT);
	assert_int_equal(parsed.pkt.ip_version, 6);
	assert_int_equal(parsed.pkt.traffic_class, 0x2e);
	assert_int_equal(parsed.pkt.ttl, 63);
	assert_int_equal(parsed.pkt.ip_length, 68);
	assert_int_equal(parsed.pkt.link_length, 18);
}

static void vlan_tags(void **state)
{
	static const __u8 inner[4] = { 0x81, 0x00, 0x00, 101 };
	struct frame frame;
	struct parsed parsed;

	(void)state;
	for (int tags = 0; tags <= 2; tags++) {
		long ip = 14 + 4 * tags;

		make4(&frame, tags, 0, 5);
		is_udp(&frame, ip, ip + 20, 5);
		make6(&frame, tags, 5);
		is_udp(&frame, ip, ip + 40, 5);
	}
	parsed = frame_parse(&frame);
	assert_memory_equal(&parsed.pkt.vlan[0], frame.octets + 12, 4);
	assert_memory_equal(&parsed.pkt.vlan[1], inner, 4);
	make4(&frame, 3, 0, 5);
	passes(&frame, LB_REASON_not_ip);
}

/* The order of the two tag types does not matter; a VLAN type behind IP's is no tag. */
static void vlan_types(void **state)
{
	struct frame frame;

	(void)state;
	make4(&frame, 2, 0, 5);
	memcpy(frame.octets + 12, "\x81\x00", 2);
	memcpy(frame.octets + 16, "\x88\xa8", 2);
	is_udp(&frame, 22, 42, 5);
	memcpy(frame.octets + 12, "\x91\x00", 2);
	passes(&frame, LB_REASON_not_ip);
	make4(&frame, 0, 0, 5);
	memcpy(frame.octets + 16, "\x81\x00", 2);
	passes(&frame, LB_REASON_malformed); /* total length 0x8100 */
}

static void other_ethertypes(void **state)
{
	static const __u16 types[] = { 0x0806, 0x8847, 0x0026, 0x0000, 0xffff };
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		make4(&frame, 0, 0, 5);
		frame.octets[12] = types[i] >> 8;
		frame.octets[13] = types[i];
		passes(&frame, LB_REASON_not_ip);
	}
}

/* A frame cut at any octet is passed, and read no further than it goes. */
static void truncated_everywhere(void **state)
{
	struct frame frames[4];
	struct parsed parsed;

	(void)state;
	make4(&frames[0], 0, 0, 30);
	make4(&frames[1], 2, 10, 30);
	make6(&frames[2], 0, 30);
	make6(&frames[3], 1, 30);
	for (int i = 0; i < 4; i++) {
		for (__u32 length = 0; length < frames[i].length; length++) {
			parsed = frame_parse_cut(&frames[i], length);
			assert_int_equal(parsed.step, LB_PASS);
			assert_int_equal(LB_ROUTE_REASON(parsed.pkt.route), LB_REASON_malformed);
		}
		assert_int_equal(frame_parse(&frames[i]).step, LB_NEXT);
	}
}

static void ipv4_options(void **state)
{
	struct frame frame;

	(void)state;
	for (int words = 0; words <= 10; words++) {
		make4(&frame, 0, words, 9);
		is_udp(&frame, 14, 34 + 4 * words, 9);
	}
}

static void ipv4_header_lengths(void **state)
{
	struct frame frame;

	(void)state;
	for (int ihl = 0; ihl < 5; ihl++) {
		make4(&frame, 0, 0, 30);
		frame.octets[14] = 0x40 + ihl;
		passes(&frame, LB_REASON_malformed);
	}
	for (int version = 0; version < 16; version++) {
		make4(&frame, 0, 0, 30);
		frame.octets[14] = version << 4 | 5;
		if (version != 4)
			passes(&frame, LB_REASON_malformed);
	}
	/* A header longer than the packet. */
	make4(&frame, 0, 0, 4);
	frame.octets[14] = 0x4f;
	passes(&frame, LB_REASON_malformed);
}

static void ipv4_total_lengths(void **state)
{
	struct frame frame;

	(void)state;
	for (__u32 total = 0; total < 100; total++) {
		make4(&frame, 0, 0, 12);
		frame.octets[16] = 0;
		frame.octets[17] = total;
		if (total == 40)
			is_udp(&frame, 14, 34, 12);
		else
			passes(&frame, LB_REASON_malformed);
	}
}

static void udp_lengths(void **state)
{
	struct frame frame;

	(void)state;
	for (__u32 stated = 0; stated < 100; stated++) {
		make4(&frame, 0, 0, 12);
		frame.octets[39] = stated;
		if (stated >= 8 && stated <= 20)
			is_udp(&frame, 14, 34, stated - 8);
		else
			passes(&frame, LB_REASON_malformed);
		make6(&frame, 0, 12);
		frame.octets[59] = stated;
		if (stated >= 8 && stated <= 20)
			is_udp(&frame, 14, 54, stated - 8);
		else
			passes(&frame, LB_REASON_malformed);
	}
}

/* Padding up to Ethernet's 60 octets is not payload. */
static void padding(void **state)
{
	struct frame frame;

	(void)state;
	make4(&frame, 0, 0, 3);
	frame_fill(&frame, 0xcd, 15);
	is_udp(&frame, 14, 34, 3);
	make6(&frame, 0, 0);
	frame_fill(&frame, 0xcd, 40);
	is_udp(&frame, 14, 54, 0);
}

static void fragments(void **state)
{
	static const __u16 words[] = { 0x2000, 0x6000, 0x0001, 0x1fff, 0x2001 };
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		make4(&frame, 0, 0, 12);
		frame.octets[20] = words[i] >> 8;
		frame.octets[21] = words[i];
		passes(&frame, LB_REASON_fragment);
	}
	/* The evil bit and DF are no fragment's. */
	make4(&frame, 0, 0, 12);
	frame.octets[20] = 0xc0;
	is_udp(&frame, 14, 34, 12);
	/* An atomic fragment is one too: RFC 8200 lets a node send them no more (RFC 8021). */
	frame_link(&frame, 0, LB_ETHERTYPE_IPV6);
	frame_ipv6(&frame, LB_PROTO_FRAGMENT, 8 + 8 + 12);
	frame_extension(&frame, LB_PROTO_FRAGMENT, LB_PROTO_UDP, 8);
	frame_udp(&frame, 12);
	passes(&frame, LB_REASON_fragment);
}

static void other_protocols(void **state)
{
	struct frame frame;

	(void)state;
	for (int protocol = 0; protocol < 256; protocol++) {
		if (protocol == LB_PROTO_UDP)
			continue;
		make4(&frame, 0, 0, 12);
		frame.octets[23] = protocol;
		passes(&frame, LB_REASON_not_udp);
		make6(&frame, 0, 12);
		frame.octets[20] = protocol;
		if (!lb_is_extension(protocol) && protocol != LB_PROTO_FRAGMENT)
			passes(&frame, LB_REASON_not_udp);
	}
}

static const __u8 extensions[] = { LB_PROTO_HOPOPTS, LB_PROTO_ROUTING, LB_PROTO_DSTOPTS,
				   LB_PROTO_AH };

static void each_extension(void **state)
{
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(extensions); i++) {
		for (__u32 octets = 8; octets <= 64; octets += 8) {
			frame_link(&frame, 0, LB_ETHERTYPE_IPV6);
			frame_ipv6(&frame, extensions[i], octets + 8 + 12);
			frame_extension(&frame, extensions[i], LB_PROTO_UDP, octets);
			frame_udp(&frame, 12);
			is_udp(&frame, 14, 54 + octets, 12);
		}
	}
}

/* AH alone counts in words of four octets. */
static void ah_lengths(void **state)
{
	struct frame frame;

	(void)state;
	for (__u32 octets = 12; octets <= 32; octets += 4) {
		frame_link(&frame, 0, LB_ETHERTYPE_IPV6);
		frame_ipv6(&frame, LB_PROTO_AH, octets + 8 + 12);
		frame_extension(&frame, LB_PROTO_AH, LB_PROTO_UDP, octets);
		frame_udp(&frame, 12);
		is_udp(&frame, 14, 54 + octets, 12);
	}
}

static void make_chain(struct frame *frame, int n, __u32 octets)
{
	frame_link(frame, 0, LB_ETHERTYPE_IPV6);
	frame_ipv6(frame, n ? LB_PROTO_DSTOPTS : LB_PROTO_UDP, n * octets + 8 + 12);
	for (int i = 1; i <= n; i++)
		frame_extension(frame, LB_PROTO_DSTOPTS, i < n ? LB_PROTO_DSTOPTS : LB_PROTO_UDP,
				octets);
	frame_udp(frame, 12);
}

static void extensions_up_to_the_limits(void **state)
{
	struct frame frame;

	(void)state;
	for (int n = 0; n <= LB_MAX_EXTENSIONS; n++) {
		make_chain(&frame, n, 8);
		is_udp(&frame, 14, 54 + 8 * n, 12);
	}
	make_chain(&frame, LB_MAX_EXTENSIONS + 1, 8);
	passes(&frame, LB_REASON_ip_options);
	/* Headers of 40 + 464 octets are read, 8 more are not. */
	make_chain(&frame, 1, 464);
	is_udp(&frame, 14, 54 + 464, 12);
	make_chain(&frame, 1, 472);
	passes(&frame, LB_REASON_ip_options);
	make_chain(&frame, 2, 232);
	is_udp(&frame, 14, 54 + 464, 12);
	make_chain(&frame, 2, 240);
	passes(&frame, LB_REASON_ip_options);
}

static void source_routes(void **state)
{
	struct frame frame;

	(void)state;
	for (int left = 0; left < 256; left++) {
		frame_link(&frame, 0, LB_ETHERTYPE_IPV6);
		frame_ipv6(&frame, LB_PROTO_ROUTING, 24 + 8 + 12);
		frame_extension(&frame, LB_PROTO_ROUTING, LB_PROTO_UDP, 24);
		frame_udp(&frame, 12);
		frame.octets[54 + 3] = left;
		if (left)
			passes(&frame, LB_REASON_ip_options);
		else
			is_udp(&frame, 14, 78, 12);
	}
}

/* Extension headers that claim more than the packet has, though the frame's padding has it. */
static void extensions_past_the_packet(void **state)
{
	struct frame frame;

	(void)state;
	make_chain(&frame, 1, 8);
	frame_fill(&frame, 0, 300);
	is_udp(&frame, 14, 62, 12);
	frame.octets[55] = 3; /* 32 octets of 28 */
	passes(&frame, LB_REASON_malformed);
	frame.octets[55] = 2; /* 24 of 28: four are left for UDP */
	passes(&frame, LB_REASON_malformed);
}

/* A frame in several pieces: its length is known, the rest cannot be read. */
static void only_the_first_piece_is_readable(void **state)
{
	struct lb_pkt pkt = {};
	struct frame frame;

	(void)state;
	make4(&frame, 0, 0, 1200);
	assert_int_equal(lb_parse(&pkt, frame.octets, frame.octets + 64, frame.length), LB_NEXT);
	assert_int_equal(pkt.payload_length, 1200);
	assert_ptr_equal(pkt.end, frame.octets + 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_of_ipv4),
		cmocka_unit_test(fields_of_ipv6),
		cmocka_unit_test(vlan_tags),
		cmocka_unit_test(vlan_types),
		cmocka_unit_test(other_ethertypes),
		cmocka_unit_test(truncated_everywhere),
		cmocka_unit_test(ipv4_options),
		cmocka_unit_test(ipv4_header_lengths),
		cmocka_unit_test(ipv4_total_lengths),
		cmocka_unit_test(udp_lengths),
		cmocka_unit_test(padding),
		cmocka_unit_test(fragments),
		cmocka_unit_test(other_protocols),
		cmocka_unit_test(each_extension),
		cmocka_unit_test(ah_lengths),
		cmocka_unit_test(extensions_up_to_the_limits),
		cmocka_unit_test(source_routes),
		cmocka_unit_test(extensions_past_the_packet),
		cmocka_unit_test(only_the_first_piece_is_readable),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
