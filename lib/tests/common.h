/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tests of the library share. */
#ifndef SHUNT_CID_TESTS_COMMON_H
#define SHUNT_CID_TESTS_COMMON_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "internal.h"

static const uint8_t test_key[SHUNT_CID_KEY_LENGTH] = "a key for tests";

static inline size_t unhex(const char *text, uint8_t *octets)
{
	size_t n = strlen(text) / 2;

	for (size_t i = 0; i < n; i++) {
		const char digits[3] = { text[2 * i], text[2 * i + 1], 0 };

		octets[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

static inline struct shunt_cid_config make_config(unsigned int config_id, unsigned int s,
						  unsigned int n, bool keyed)
{
	struct shunt_cid_config config = {
		.config_id = (uint8_t)config_id,
		.server_id_length = (uint8_t)s,
		.nonce_length = (uint8_t)n,
		.key = keyed ? test_key : NULL,
	};

	/* With zeros at both ends, where a string would end or a number begin. */
	for (unsigned int i = 0; i < s; i++)
		config.server_id[i] = (uint8_t)(i % 3 ? 17 * i : 0);
	return config;
}

static inline struct shunt_cid *must_open(const struct shunt_cid_config *config)
{
	struct shunt_cid *s;

	assert_string_equal(shunt_cid_strerror(shunt_cid_open(config, &s)), "no error");
	return s;
}

/* Its length. */
static inline size_t must_issue(struct shunt_cid *s, uint8_t *cid)
{
	size_t length = SHUNT_CID_MAX_LENGTH;

	assert_int_equal(shunt_cid_issue(s, cid, &length), 0);
	return length;
}

static inline struct shunt_cid_info must_decode(struct shunt_cid *s, const uint8_t *cid,
						size_t length)
{
	struct shunt_cid_info info;

	assert_int_equal(shunt_cid_decode(s, cid, length, &info), 0);
	return info;
}

/* Of config id 4. */
static inline struct cid_counter *counter_of(struct shunt_cid *s)
{
	return &s->configs[4].counter;
}

/* The nonce of config make_config(4, 1, 4, true), deciphered by the network run backwards. */
static inline uint32_t nonce_of(const uint8_t *cid)
{
	uint8_t left[3] = { cid[1], cid[2], cid[3] & 0xf0 };
	uint8_t right[3] = { cid[3] & 0x0f, cid[4], cid[5] };
	struct lb_aes_key key;

	lb_aes_expand(test_key, &key);
	lb_cid_pass_octets(&key, 5, 4, right, left);
	lb_cid_pass_octets(&key, 5, 3, left, right);
	lb_cid_pass_octets(&key, 5, 2, right, left);
	lb_cid_pass_octets(&key, 5, 1, left, right);
	return (uint32_t)left[1] << 24 | (uint32_t)(left[2] | right[0]) << 16 |
	       (uint32_t)right[1] << 8 | right[2];
}

#endif
