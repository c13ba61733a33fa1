/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * AES-128: FIPS 197's example, GnuTLS's AES on random blocks, and the tables computed once more from
 * their definition.
 *
 * Libraries: -lgnutls
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <gnutls/crypto.h>

#include "lb/aes.h"

static void load(struct lb_aes_block *block, const uint8_t *octets)
{
	for (int i = 0; i < 4; i++)
		block->word[i] = LB_BE32(lb_load32(octets + 4 * i));
}

static void store(const struct lb_aes_block *block, uint8_t *octets)
{
	for (int i = 0; i < 4; i++) {
		uint32_t word = LB_BE32(block->word[i]);

		memcpy(octets + 4 * i, &word, 4);
	}
}

static uint8_t times(uint8_t a, uint8_t b)
{
	uint8_t product = 0;

	for (; b; b >>= 1) {
		if (b & 1)
			product ^= a;
		a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
	}
	return product;
}

static uint8_t sbox(uint8_t a)
{
	uint8_t inverse = 0, s = 0x63;

	for (int b = 1; a && b < 256; b++)
		if (times(a, (uint8_t)b) == 1)
			inverse = (uint8_t)b;
	for (int i = 0; i < 5; i++)
		s ^= (uint8_t)(inverse << i | inverse >> (8 - i));
	return s;
}

static uint32_t column(uint8_t s, uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (uint32_t)times(s, a) << 24 | (uint32_t)times(s, b) << 16 |
	       (uint32_t)times(s, c) << 8 | times(s, d);
}

static void tables_follow_from_the_standard(void **state)
{
	(void)state;
	for (int i = 0; i < 256; i++) {
		uint8_t s = sbox((uint8_t)i);

		assert_int_equal(lb_aes_forward[2 * i], column(s, 2, 1, 1, 3));
		assert_int_equal(lb_aes_forward[2 * i + 1], lb_aes_forward[2 * i]);
		assert_int_equal(lb_aes_inverse_sbox[s], i);
		assert_int_equal(lb_aes_backward[2 * s], column((uint8_t)i, 14, 9, 13, 11));
		assert_int_equal(lb_aes_backward[2 * s + 1], lb_aes_backward[2 * s]);
	}
}

static void example_of_fips_197(void **state)
{
	static const uint8_t want[16] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
					  0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a };
	uint8_t key[16], text[16], got[16];
	struct lb_aes_block block;
	struct lb_aes_key expanded;

	(void)state;
	for (int i = 0; i < 16; i++) {
		key[i] = (uint8_t)i;
		text[i] = (uint8_t)(i * 0x11);
	}
	lb_aes_expand(key, &expanded);
	load(&block, text);
	lb_aes_encrypt(&expanded, &block);
	store(&block, got);
	assert_memory_equal(got, want, 16);
	lb_aes_decrypt(&expanded, &block);
	store(&block, got);
	assert_memory_equal(got, text, 16);
}

static void random_blocks_as_gnutls(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint8_t key[16], text[16], iv[16] = {}, want[16], got[16];
		gnutls_datum_t datum = { key, sizeof(key) }, zero = { iv, sizeof(iv) };
		gnutls_cipher_hd_t cipher;
		struct lb_aes_block block;
		struct lb_aes_key expanded;

		gnutls_rnd(GNUTLS_RND_NONCE, key, sizeof(key));
		gnutls_rnd(GNUTLS_RND_NONCE, text, sizeof(text));
		/* One CBC block from a zero vector is ECB, which GnuTLS does not offer. */
		assert_int_equal(
			gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_CBC, &datum, &zero), 0);
		memcpy(want, text, sizeof(want));
		assert_int_equal(gnutls_cipher_encrypt(cipher, want, sizeof(want)), 0);
		gnutls_cipher_deinit(cipher);
		lb_aes_expand(key, &expanded);
		load(&block, text);
		lb_aes_encrypt(&expanded, &block);
		store(&block, got);
		assert_memory_equal(got, want, 16);
		lb_aes_decrypt(&expanded, &block);
		store(&block, got);
		assert_memory_equal(got, text, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_follow_from_the_standard),
		cmocka_unit_test(example_of_fips_197),
		cmocka_unit_test(random_blocks_as_gnutls),
	};

	return cmocka_run_group_tests_name("aes", tests, NULL, NULL);
}
