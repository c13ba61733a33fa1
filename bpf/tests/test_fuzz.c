/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mutated and cut frames through parse, quic, cid and tuple: no octet past the frame is read, and what
 * comes out lies within the frame. SHUNT_FUZZ_SEED and SHUNT_FUZZ_ROUNDS set another run.
 */
#include "frame.h"

#include <stdio.h>
#include <time.h>

#include "lb/cid.h"
#include "lb/tuple.h"

#define ROUNDS 300000

static __u64 state_word;

/* xorshift64*: the same frames from the same seed on every machine. */
static __u32 draw(__u32 below)
{
	state_word ^= state_word >> 12;
	state_word ^= state_word << 25;
	state_word ^= state_word >> 27;
	return (__u32)((state_word * 0x2545f4914f6cdd1dull) >> 32) % below;
}

static void make_payload(struct frame *frame, __u32 length)
{
	__u32 start = frame->length;

	for (__u32 i = 0; i < length; i++)
		frame_8(frame, draw(256));
	if (length > 6 && draw(2)) {
		frame->octets[start] |= 0x80;
		frame->octets[start + 5] = draw(4) ? draw(24) : draw(256);
	}
}

static void make_ipv6_headers(struct frame *frame, __u32 payload)
{
	static const __u8 kinds[] = { 0, 43, 60, 51, 44 };
	__u8 kind[8], octets[8];
	__u32 n = draw(3) ? draw(3) : draw(8), total = 0;

	for (__u32 i = 0; i < n; i++) {
		kind[i] = kinds[draw(8) ? draw(4) : 4];
		octets[i] = 8 * (1 + draw(draw(4) ? 3 : 31));
		total += octets[i];
	}
	frame_ipv6(frame, n ? kind[0] : LB_PROTO_UDP, total + 8 + payload);
	for (__u32 i = 0; i < n; i++)
		frame_extension(frame, kind[i], i + 1 < n ? kind[i + 1] : LB_PROTO_UDP, octets[i]);
}

static void make_frame(struct frame *frame)
{
	__u32 payload = draw(4) ? draw(40) : draw(300), tags = draw(4) ? draw(2) : draw(4);

	if (draw(2)) {
		frame_link(frame, tags, LB_ETHERTYPE_IPV4);
		frame_ipv4(frame, draw(3) ? 0 : draw(11), LB_PROTO_UDP, 8 + payload);
	} else {
		frame_link(frame, tags, LB_ETHERTYPE_IPV6);
		make_ipv6_headers(frame, payload);
	}
	frame_udp(frame, 0);
	frame->octets[frame->length - 4] = (8 + payload) >> 8;
	frame->octets[frame->length - 3] = 8 + payload;
	make_payload(frame, payload);
	frame_fill(frame, draw(256), draw(8) ? 0 : draw(20));
}

static void mutate(struct frame *frame)
{
	/* Half the frames stay whole, or few would come past the parser. */
	for (__u32 n = draw(2) ? 0 : 1 + draw(3); n; n--) {
		__u32 at =
			draw(draw(2) ? frame->length : (frame->length < 64 ? frame->length : 64));

		if (draw(2))
			frame->octets[at] ^= 1u << draw(8);
		else
			frame->octets[at] = draw(256);
	}
	if (!draw(4))
		frame->length = draw(frame->length + 1);
}

static struct lb_cid_config random_config(void)
{
	__u32 s = 1 + draw(15), n = 4 + draw(16 - s);
	struct lb_cid_config config = lb_cid_config_make(s, n, draw(2), draw(3));

	if (!draw(8))
		config.algorithm = LB_CID_UNSET;
	return config;
}

static void check_cid(const struct lb_dcid *dcid, const __u8 *end)
{
	struct lb_cid_config config = random_config();
	static const __u8 secret[16] = { 1, 2, 3 };
	__u8 expected[16] = {}, body[LB_BODY_MAX];
	struct lb_cid_key key;
	__u32 words[4];

	lb_cid_key_prepare(secret, config.server_id_length, config.nonce_length, &key);
	if (dcid->octets + 1 > end || lb_cid_check(&config, dcid) != LB_REASON_cid ||
	    lb_cid_server_id(&config, &key, dcid->octets, end, words) != LB_REASON_cid)
		return;
	assert_true(dcid->length >= 1u + config.server_id_length + config.nonce_length);
	if (dcid->octets + 1 + key.length > end)
		return; /* the server id can be read, the nonce cannot */
	memcpy(body, dcid->octets + 1, key.length);
	if (config.algorithm != LB_CID_CLEAR)
		lb_cid_decrypt_octets(&key.aes, body, key.length);
	memcpy(expected, body, config.server_id_length);
	assert_memory_equal(words, expected, 16);
}

/* Returns 1 if it came as far as a DCID. */
static int check(const __u8 *data, __u32 readable, __u32 length)
{
	const __u8 *end = data + readable;
	struct lb_pkt pkt = {};
	struct lb_dcid dcid;

	if (lb_parse(&pkt, data, end, length) != LB_NEXT) {
		assert_in_range(LB_ROUTE_REASON(pkt.route), LB_REASON_not_ip, LB_REASON_not_udp);
		return 0;
	}
	assert_true((const __u8 *)pkt.ip >= data + 14);
	assert_true((const __u8 *)pkt.udp >= (const __u8 *)pkt.ip + 20);
	assert_true((const __u8 *)pkt.udp + 8 <= end);
	assert_true((const __u8 *)pkt.udp + 8 + pkt.payload_length <=
		    (const __u8 *)pkt.ip + pkt.ip_length);
	assert_true(pkt.link_length + pkt.ip_length <= length);
	lb_tuple_hash(pkt.ip, pkt.udp, pkt.end);
	if (!lb_quic_dcid((const __u8 *)pkt.udp + 8, pkt.payload_length, end, &dcid))
		return 0;
	assert_true(dcid.length >= 1);
	assert_true(dcid.octets + dcid.length <= (const __u8 *)pkt.udp + 8 + pkt.payload_length);
	check_cid(&dcid, end);
	return 1;
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

static void mutated_frames(void **unused)
{
	unsigned long rounds = setting("SHUNT_FUZZ_ROUNDS", ROUNDS), deep = 0;
	unsigned long seed = setting("SHUNT_FUZZ_SEED", (unsigned long)time(NULL));
	struct frame frame;

	(void)unused;
	/* Before it begins: a sanitizer's report ends the program. */
	printf("SHUNT_FUZZ_SEED=%lu SHUNT_FUZZ_ROUNDS=%lu\n", seed, rounds);
	fflush(stdout);
	state_word = seed * 2 + 1;
	for (unsigned long i = 0; i < rounds; i++) {
		__u32 readable;
		__u8 *copy;

		make_frame(&frame);
		mutate(&frame);
		/* Now and then only the first piece of the frame can be read. */
		readable = draw(8) ? frame.length : draw(frame.length + 1);
		copy = malloc(readable ? readable : 1);
		assert_non_null(copy);
		memcpy(copy, frame.octets, readable);
		deep += check(copy, readable, frame.length);
		free(copy);
	}
	printf("%lu of %lu frames had a DCID\n", deep, rounds);
	assert_true(deep > rounds / 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(mutated_frames) };

	return cmocka_run_group_tests_name("fuzz", tests, NULL, NULL);
}
