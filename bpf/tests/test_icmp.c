/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/icmp.h and lb/too_big.h over packets in memory: each lies in a block of just its size, so that a read
 * past its end is one past the block's; and what is right by a sum of all octets stays so.
 */
#include "frame.h"

#define LB_MAY_AES	1
#define LB_MAY_GUE	1
#define LB_MAY_PERCPU	0
#define LB_MAY_REDIRECT 1
#define LB_MAY_TRACK	1
#include "lb/icmp.h"

#define VIP	 5
#define POOL	 1
#define IN_ROW	 7 /* numbers of servers */
#define BY_CID	 9
#define PORT	 443
#define ROUNDS	 3000
#define SERVERID 0x42
#define PAYLOAD	 80

/* One generation in which everything lies in bucket 0. */
static struct lb_bucket vips[1], addresses[1], sids[1];
static struct lb_cid_config cids[16];
static struct lb_cid_key keys[16];
static __u32 rows[2] = { 0, IN_ROW };
static const struct lb_generation generation = { .number = 1 };
static const struct lb_setting setting = { .flow_mask = 1 };

static const __u8 vip4[4] = { 203, 0, 113, 80 }, vip6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 0x80 };

static void fill_slot(struct lb_slot *slot, const void *address, __u32 n, __u32 last, __u32 value)
{
	memset(slot, 0, sizeof(*slot));
	memcpy(slot->key, address, n);
	slot->key[4] = last;
	slot->value = value;
}

static int fill_tables(void **state)
{
	__u32 id = LB_BE32((__u32)SERVERID << 24);

	(void)state;
#define TABLE(table) \
	((struct lb_host_map){ table, sizeof(table) / sizeof(*(table)), sizeof(*(table)) })
	vip_map = TABLE(vips);
	address_map = TABLE(addresses);
	sid_map = TABLE(sids);
	cid_config_map = TABLE(cids);
	cid_key_map = TABLE(keys);
	row_map = TABLE(rows);
#undef TABLE
	fill_slot(&vips[0].slot[0], vip4, 4, LB_VIP_KEY(4, LB_BE16(PORT)), LB_VIP_VALUE(VIP, POOL));
	fill_slot(&vips[0].slot[1], vip6, 16, LB_VIP_KEY(6, LB_BE16(PORT)),
		  LB_VIP_VALUE(VIP, POOL));
	fill_slot(&addresses[0].slot[0], vip4, 4, LB_ADDRESS_KEY(4), 1);
	fill_slot(&addresses[0].slot[1], vip6, 16, LB_ADDRESS_KEY(6), 1);
	fill_slot(&sids[0].slot[0], &id, 4, LB_SID_KEY(POOL, 0), BY_CID);
	cids[LB_CID_INDEX(POOL, 0)] = lb_cid_config_make(1, 4, 0, LB_LENGTH_UNCHECKED);
	return 0;
}

/* One's complement, of octets as they lie there. */
static __u32 sum_of(const __u8 *octets, __u32 n)
{
	__u32 sum = 0;

	for (__u32 i = 0; i < n; i++)
		sum += (__u32)octets[i] << (i % 2 ? 0 : 8);
	return sum % 0xffff;
}

static __u32 message_sum(const __u8 *ip, __u32 length)
{
	if (ip[0] >> 4 == 4)
		return sum_of(ip + 20, length - 20);
	return (sum_of(ip + 8, 32) + length - 40 + LB_PROTO_ICMPV6 + sum_of(ip + 40, length - 40)) %
	       0xffff;
}

static void put_ip(__u8 *ip, __u32 version, __u32 length, __u32 protocol, const __u8 *from,
		   const __u8 *to)
{
	if (version == 4) {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		lb_store16(ip + 2, LB_BE16(length));
		ip[8] = 60;
		ip[9] = protocol;
		memcpy(ip + 12, from, 4);
		memcpy(ip + 16, to, 4);
		lb_store16(ip + 10, LB_BE16(0xffff - sum_of(ip, 20)));
		return;
	}
	memset(ip, 0, 8);
	ip[0] = 0x60;
	lb_store16(ip + 4, LB_BE16(length - 40));
	ip[6] = protocol;
	ip[7] = 60;
	memcpy(ip + 8, from, 16);
	memcpy(ip + 24, to, 16);
}

struct message {
	__u8 ip[256];
	__u32 version, length,
		needed; /* octets of it before whose end the connection ID does not count */
};

/* A long header of the server that BY_CID is, in an error of that type. mtu: in the second word. */
static void make(struct message *message, __u32 version, __u32 type, __u32 code, __u32 mtu)
{
	static const __u8 client[16] = { 0xc0, 0, 2, 77 };
	static const __u8 quic[] = { 0xc0, 0, 0, 0, 1, 3, 1, 2, 3, 6, 0x05, SERVERID, 1, 2, 3, 4 };
	const __u8 *vip = version == 4 ? vip4 : vip6;
	__u32 header = version == 4 ? 20 : 40;
	__u8 *icmp = message->ip + header, *quote = icmp + 8, *udp = quote + header;

	message->version = version;
	message->length = 2 * header + 16 + PAYLOAD;
	message->needed = 2 * header + 16 + sizeof(quic);
	put_ip(quote, version, header + 8 + 1300, LB_PROTO_UDP, vip, client);
	lb_store16(udp, LB_BE16(PORT));
	lb_store16(udp + 2, LB_BE16(4000));
	lb_store16(udp + 4, LB_BE16(8 + 1300));
	lb_store16(udp + 6, LB_BE16(rand() % 4 ? rand() : 0));
	for (int i = 0; i < PAYLOAD; i++)
		udp[8 + i] = rand();
	memcpy(udp + 8, quic, sizeof(quic));
	icmp[0] = type;
	icmp[1] = code;
	lb_store16(icmp + 2, 0);
	lb_store32(icmp + 4, LB_BE32(mtu));
	put_ip(message->ip, version, message->length,
	       version == 4 ? LB_PROTO_ICMP : LB_PROTO_ICMPV6, client, vip);
	lb_store16(icmp + 2, LB_BE16(0xffff - message_sum(message->ip, message->length)));
}

/* What becomes of the first n octets: the reason and, for LB_REASON_icmp, the server. */
static enum lb_reason look(const struct message *message, __u32 n, __u32 *server)
{
	__u8 *block = malloc(n ? n : 1);
	const __u8 *end = block + n;
	struct lb_flow_key key = {};
	struct lb_icmp icmp;
	enum lb_reason reason;
	__u32 vip;
	__u64 hash;

	assert_non_null(block);
	memcpy(block, message->ip, n);
	*server = 0;
	reason = lb_icmp_find(&icmp, block, end, message->version, &generation, &setting, &vip);
	if (reason == LB_REASON_icmp) {
		assert_int_equal(vip, LB_VIP_VALUE(VIP, POOL));
		lb_icmp_flow(&key, &icmp, end, message->version, vip);
		assert_int_equal(key.of, LB_FLOW_OF(LB_FLOW_TUPLE, VIP, message->version));
		hash = lb_icmp_hash(&icmp, end, message->version);
		*server = lb_icmp_by_cid(NULL, &icmp, end, &generation, vip);
		if (!*server)
			*server = lb_icmp_by_row((__u32)hash, &generation, vip);
	}
	free(block);
	return reason;
}

static void set_length(struct message *message, __u32 length)
{
	if (message->version == 4)
		lb_store16(message->ip + 2, LB_BE16(length));
	else
		lb_store16(message->ip + 4, LB_BE16(length - 40));
}

/* Whether the packet says that it is shorter or not: the right server, that of the row, or none. */
static void every_truncation(void **state)
{
	struct message message;
	__u32 server;

	(void)state;
	for (__u32 version = 4; version <= 6; version += 2)
		for (__u32 n = version == 4 ? 20 : 40; n <= 120; n++)
			for (int says = 0; says < 2; says++) {
				enum lb_reason reason;

				make(&message, version, version == 4 ? 3 : 1, 1, 0);
				if (says)
					set_length(&message, n);
				reason = look(&message, n, &server);
				if (reason != LB_REASON_icmp)
					assert_true(n < message.needed);
				else if (n >= message.needed)
					assert_int_equal(server, BY_CID);
				else if (says)
					assert_int_equal(server, IN_ROW);
			}
}

static void anything_else(void **state)
{
	struct message message;
	__u32 server;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		make(&message, round % 2 ? 4 : 6, round % 2 ? 3 : 1, 0, 0);
		for (int changes = rand() % 8; changes >= 0; changes--)
			message.ip[rand() % message.length] = rand();
		look(&message, rand() % (message.length + 1), &server);
		assert_true(server == 0 || server == IN_ROW || server == BY_CID);
	}
}

/* The quoted packet has 1328 octets over IPv4, 1348 over IPv6. */
static void mtu_that_cannot_be_true(void **state)
{
	static const struct {
		__u32 version, mtu;
		enum lb_reason reason;
	} cases[] = {
		{ 4, 0, LB_REASON_icmp_absurd },
		{ 4, 1227, LB_REASON_icmp_absurd },
		{ 4, 1228, LB_REASON_icmp },
		{ 4, 1327, LB_REASON_icmp },
		{ 4, 1328, LB_REASON_icmp_absurd },
		{ 6, 1279, LB_REASON_icmp_absurd },
		{ 6, 1280, LB_REASON_icmp },
		{ 6, 1347, LB_REASON_icmp },
		{ 6, 1348, LB_REASON_icmp_absurd },
		{ 6, 1 << 16 | 1300, LB_REASON_icmp_absurd },
		{ 6, 0xffffffff, LB_REASON_icmp_absurd },
	};
	struct message message;
	__u32 server;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(&message, cases[i].version, cases[i].version == 4 ? 3 : 2,
		     cases[i].version == 4 ? 4 : 0, cases[i].mtu);
		assert_int_equal(look(&message, message.length, &server), cases[i].reason);
	}
}

/* A wrong checksum stays as wrong as it was. */
static void at_a_nat_server(void **state)
{
	struct lb_server server = {};
	struct message message;
	struct lb_icmp icmp;
	__u32 vip, header, before;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		__u32 version = round % 2 ? 4 : 6, sum = 0;

		make(&message, version, version == 4 ? 3 : 1, 0, 0);
		header = version == 4 ? 20 : 40;
		if (round % 3 == 0)
			message.ip[header + 2] ^= 0x5a;
		for (int i = 0; i < (version == 4 ? 1 : 4); i++) {
			server.destination[i] = rand();
			sum += lb_csum_word(server.destination[i]);
		}
		server.checksum = lb_csum_fold(sum);
		server.port = round % 5 ? rand() : 0;
		assert_int_equal(lb_icmp_find(&icmp, message.ip, message.ip + message.length,
					      version, &generation, &setting, &vip),
				 LB_REASON_icmp);
		before = message_sum(message.ip, message.length);
		lb_icmp_readdress(message.ip, (__u8 *)icmp.message, (__u8 *)icmp.quote,
				  (__u8 *)icmp.udp, version, &server);
		assert_int_equal(message_sum(message.ip, message.length), before);
		if (version == 4) {
			assert_int_equal(sum_of(message.ip, 20), 0);
			assert_int_equal(sum_of(icmp.quote, 20), 0);
		}
		assert_memory_equal(message.ip + header - (version == 4 ? 4 : 16),
				    server.destination, version == 4 ? 4 : 16);
		assert_memory_equal(icmp.quote + (version == 4 ? 12 : 8), server.destination,
				    version == 4 ? 4 : 16);
		assert_int_equal(lb_load16(icmp.udp), server.port ? server.port : LB_BE16(PORT));
	}
}

/* What lb_icmp_sum() says of a packet that is right is what all its octets add up to. */
static void sum_from_headers(void **state)
{
	struct message message;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		make(&message, round % 2 ? 4 : 6, round % 2 ? 3 : 1, 0, 0);
		assert_int_equal(
			LB_BE16(lb_csum_fold(lb_icmp_sum(message.ip, message.version, 60))) %
				0xffff,
			sum_of(message.ip, message.length));
	}
}

static void who_may_be_told(void **state)
{
	static const __u8 nobody[][4] = { { 0, 0, 0, 0 },
					  { 127, 0, 0, 1 },
					  { 224, 0, 0, 1 },
					  { 240, 0, 0, 1 },
					  { 255, 255, 255, 255 } };
	struct message message;
	__u8 *ip = message.ip;

	(void)state;
	make(&message, 4, 3, 0, 0);
	assert_false(lb_may_tell(ip, 4, 1400)); /* may be fragmented */
	ip[6] = 0x40;
	assert_true(lb_may_tell(ip, 4, 1400) && lb_may_tell(ip, 4, 68));
	assert_false(lb_may_tell(ip, 4, 67) || lb_may_tell(ip, 4, 0x10000));
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		memcpy(ip + 12, nobody[i], 4);
		assert_false(lb_may_tell(ip, 4, 1400));
	}
	make(&message, 6, 1, 0, 0);
	assert_true(lb_may_tell(ip, 6, 1280));
	assert_false(lb_may_tell(ip, 6, 1279) || lb_may_tell(ip, 6, 0xfffffff0));
	ip[8] = 0xff;
	assert_false(lb_may_tell(ip, 6, 1400));
	memset(ip + 8, 0, 16);
	assert_false(lb_may_tell(ip, 6, 1400));
}

static void answers_add_up(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		__u32 version = round % 2 ? 4 : 6, front = LB_TOO_BIG_HEADERS(version);
		__u32 n = front + LB_QUOTE;
		__u8 *block = malloc(n);

		assert_non_null(block);
		for (__u32 i = 0; i < n; i++)
			block[i] = rand();
		if (version == 4)
			lb_tell_ipv4(block, 1400);
		else
			lb_tell_ipv6(block, 1400);
		assert_int_equal(message_sum(block, n), 0);
		if (version == 4)
			assert_int_equal(sum_of(block, 20), 0);
		assert_int_equal(lb_ip_length(block, version), n);
		free(block);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_truncation),	   cmocka_unit_test(anything_else),
		cmocka_unit_test(mtu_that_cannot_be_true), cmocka_unit_test(at_a_nat_server),
		cmocka_unit_test(sum_from_headers),	   cmocka_unit_test(who_may_be_told),
		cmocka_unit_test(answers_add_up),
	};

	srand(5);
	return cmocka_run_group_tests(tests, fill_tables, NULL);
}
