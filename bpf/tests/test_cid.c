/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/cid.h: the server id of clear CIDs, for every legal pair of lengths.
 */
#include "frame.h"

#include "lb/cid.h"

static struct lb_cid_config make_config(__u32 server_id, __u32 nonce)
{
	struct lb_cid_config config = {
		.algorithm = LB_CID_CLEAR,
		.server_id_length = server_id,
		.nonce_length = nonce,
	};

	memset(config.mask, 0xff, server_id);
	return config;
}

/* A DCID of `length` octets, each with its own value, in a block that ends with it. */
static enum lb_reason decode(const struct lb_cid_config *config, __u32 length, __u8 *server_id)
{
	__u8 *octets = malloc(length);
	struct lb_dcid dcid = { .octets = octets, .length = length };
	__u32 words[4] = { 0xaaaaaaaa, 0xaaaaaaaa, 0xaaaaaaaa, 0xaaaaaaaa };
	enum lb_reason reason;

	assert_non_null(octets);
	for (__u32 i = 0; i < length; i++)
		octets[i] = 0xf0 + i;
	reason = lb_cid_server_id(config, &dcid, octets + length, words);
	memcpy(server_id, words, sizeof(words));
	free(octets);
	return reason;
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
	config.algorithm = LB_CID_CLEAR + 1;
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
		assert_int_equal(lb_cid_server_id(&config, &dcid, octets + readable, words),
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
		cmocka_unit_test(unset_config),
		cmocka_unit_test(unreadable_body),
		cmocka_unit_test(config_id_is_the_top_three_bits),
	};

	return cmocka_run_group_tests_name("cid", tests, NULL, NULL);
}
