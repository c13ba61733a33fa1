/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/cid.h: the server id of CIDs, clear and encrypted, for every legal pair of lengths.
 */
#include "frame.h"

#include "lb/cid.h"

static struct lb_cid_config make_config(__u32 server_id, __u32 nonce)
{
	return lb_cid_config_make(server_id, nonce, 0, LB_LENGTH_UNCHECKED);
}

/* As the data path asks: first the lengths, then the server id. */
static enum lb_reason ask(const struct lb_cid_config *config, const struct lb_cid_key *key,
			  const struct lb_dcid *dcid, const void *end, __u32 *words)
{
	enum lb_reason reason = lb_cid_check(config, dcid);

	return reason == LB_REASON_cid ? lb_cid_server_id(config, key, dcid->octets, end, words) :
					 reason;
}

/* The octets as a DCID in a block that ends with them; in front is what a packet has there. */
static enum lb_reason decode_octets(const struct lb_cid_config *config,
				    const struct lb_cid_key *key, const __u8 *octets, __u32 length,
				    __u8 *server_id)
{
	__u8 *block = malloc(LB_CID_LEAD - 1 + length);
	struct lb_dcid dcid = { .octets = block + LB_CID_LEAD - 1, .length = length, .is_long = 1 };
	__u32 words[4] = { 0xaaaaaaaa, 0xaaaaaaaa, 0xaaaaaaaa, 0xaaaaaaaa };
	enum lb_reason reason;

	assert_non_null(block);
	memset(block, 0x55, LB_CID_LEAD - 1);
	memcpy(block + LB_CID_LEAD - 1, octets, length);
	reason = ask(config, key, &dcid, dcid.octets + length, words);
	memcpy(server_id, words, sizeof(words));
	free(block);
	return reason;
}

/* A DCID of `length` octets, each with its own value. */
static enum lb_reason decode(const struct lb_cid_config *config, __u32 length, __u8 *server_id)
{
	__u8 octets[64];

	for (__u32 i = 0; i < length; i++)
		octets[i] = 0xf0 + i;
	return decode_octets(config, NULL, octets, length, server_id);
}

/* What was encrypted comes out again, whatever the lengths and with octets behind it or without. */
static void every_legal_pair_encrypted(void **state)
{
	static const __u8 secret[16] = { 0x8f, 0x95, 0xf0, 0x92, 0x45, 0x76, 0x5f, 0x80,
					 0x25, 0x69, 0x34, 0xe5, 0x0c, 0x66, 0x20, 0x7f };
	__u8 server_id[16], expected[16], cid[32];

	(void)state;
	for (__u32 s = LB_SERVER_ID_MIN; s <= LB_SERVER_ID_MAX; s++) {
		for (__u32 n = LB_NONCE_MIN; n <= LB_NONCE_MAX && s + n <= LB_BODY_MAX; n++) {
			struct lb_cid_config config = make_config(s, n);
			struct lb_cid_key key;

			config.algorithm = s + n == LB_SINGLE_PASS_BODY ? LB_CID_SINGLE_PASS :
									  LB_CID_FOUR_PASS;
			lb_cid_key_prepare(secret, s, n, &key);
			for (__u32 extra = 0; extra < 3; extra++) {
				for (__u32 i = 0; i < sizeof(cid); i++)
					cid[i] = 17 * i + s + n;
				memset(expected, 0, sizeof(expected));
				memcpy(expected, cid + 1, s);
				lb_cid_encrypt(&key.aes, cid + 1, s + n);
				assert_int_equal(decode_octets(&config, &key, cid,
							       1 + s + n + extra, server_id),
						 LB_REASON_cid);
				assert_memory_equal(server_id, expected, 16);
			}
			assert_int_equal(decode_octets(&config, &key, cid, s + n, server_id),
					 LB_REASON_hash_short_dcid);
		}
	}
}

/* Draft section 4.1: only where the operator says so, and "equal" only where the length is known. */
static void described_length(void **state)
{
	struct lb_cid_config config = make_config(4, 4);
	__u8 octets[12] = { 8 };
	struct lb_dcid dcid = { .octets = octets, .length = 9, .is_long = 1 };

	(void)state;
	config = lb_cid_config_make(4, 4, 0, LB_LENGTH_EQUAL);
	assert_int_equal(lb_cid_check(&config, &dcid), LB_REASON_cid);
	dcid.length = 10; /* an octet of the server's own that the length leaves out */
	assert_int_equal(lb_cid_check(&config, &dcid), LB_REASON_hash_wrong_length);
	dcid.is_long = 0;
	assert_int_equal(lb_cid_check(&config, &dcid), LB_REASON_cid);
	dcid.is_long = 1;
	config = lb_cid_config_make(4, 4, 0, LB_LENGTH_AT_LEAST);
	assert_int_equal(lb_cid_check(&config, &dcid), LB_REASON_cid);
	octets[0] = 7;
	assert_int_equal(lb_cid_check(&config, &dcid), LB_REASON_hash_wrong_length);
	config = lb_cid_config_make(4, 4, 0, LB_LENGTH_UNCHECKED);
	assert_int_equal(lb_cid_check(&config, &dcid), LB_REASON_cid);
}

static void every_legal_pair(void **state)
{
	__u8 server_id[16], expected[16];
	int pairs = 0;

	(void)state;
	for (__u32 s = LB_SERVER_ID_MIN; s <= LB_SERVER_ID_MAX; s++) {
		for (__u32 n = LB_NONCE_MIN; n <= LB_NONCE_MAX && s + n <= LB_BODY_MAX; n++) {
			struct lb_cid_config config = make_config(s, n);

			pairs++;
			memset(expected, 0, sizeof(expected));
			for (__u32 i = 0; i < s; i++)
				expected[i] = 0xf1 + i;
			for (__u32 length = 1; length <= 40; length++) {
				enum lb_reason reason = decode(&config, length, server_id);

				if (length < 1 + s + n) {
					assert_int_equal(reason, LB_REASON_hash_short_dcid);
					continue;
				}
				assert_int_equal(reason, LB_REASON_cid);
				assert_memory_equal(server_id, expected, 16);
			}
		}
	}
	assert_int_equal(pairs, 120);
}

static void unset_config(void **state)
{
	struct lb_cid_config config = {};
	__u8 server_id[16];

	(void)state;
	assert_int_equal(decode(&config, 20, server_id), LB_REASON_hash_unknown_config);
}

/* The DCID goes on in a part of the frame that cannot be read. */
static void unreadable_body(void **state)
{
	struct lb_cid_config config = make_config(9, 4);
	__u32 words[4];

	(void)state;
	for (__u32 readable = 1; readable <= 14; readable++) {
		__u8 *octets = calloc(1, readable);
		struct lb_dcid dcid = { .octets = octets, .length = 20 };

		assert_non_null(octets);
		assert_int_equal(ask(&config, NULL, &dcid, octets + readable, words),
				 readable < 13 ? LB_REASON_hash_short_dcid : LB_REASON_cid);
		free(octets);
	}
}

static void config_id_is_the_top_three_bits(void **state)
{
	(void)state;
	for (int octet = 0; octet < 256; octet++)
		assert_int_equal(lb_cid_config_id(octet), octet / 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_legal_pair),
		cmocka_unit_test(every_legal_pair_encrypted),
		cmocka_unit_test(described_length),
		cmocka_unit_test(unset_config),
		cmocka_unit_test(unreadable_body),
		cmocka_unit_test(config_id_is_the_top_three_bits),
	};

	return cmocka_run_group_tests_name("cid", tests, NULL, NULL);
}
