/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * AES-128 on one block (FIPS 197), the same text for BPF, the loader and the server library.
 *
 * Table look-ups, because BPF has no AES instruction and one table beats everything else it has.
 * They are not constant-time: who can watch the caches of this very core may learn about the key.
 * The key hides server ids from observers of the network, nothing more.
 *
 * A block is four words, each big-endian in the block. Only host tiers include this: the tables need
 * .rodata, which a card does not take.
 */
#ifndef LB_AES_H
#define LB_AES_H

#include "lb/abi.h"
#include "lb/aes_tables.h"
#include "lb/bytes.h"

/* Round keys of both directions, expanded by user space (lb_aes_expand()). */
struct lb_aes_key {
	__u32 encrypt[44];
	__u32 decrypt[44];
};

struct lb_aes_block {
	__u32 word[4];
};

/* The table's word for octet `octet` of `word` (0: the highest), rotated right by `turn` octets. */
static LB_INLINE __u32 lb_aes_look(const __u32 *table, __u32 word, __u32 octet, __u32 turn)
{
	__u32 offset = octet == 3 ? word << 3 : word >> (21 - 8 * octet);

	return lb_load32((const __u8 *)table + (offset & 0x7f8) + turn);
}

static LB_INLINE __u32 lb_aes_mix(const __u32 *table, __u32 a, __u32 b, __u32 c, __u32 d)
{
	return lb_aes_look(table, a, 0, 0) ^ lb_aes_look(table, b, 1, 1) ^
	       lb_aes_look(table, c, 2, 2) ^ lb_aes_look(table, d, 3, 3);
}

/* SubBytes and ShiftRows without MixColumns, as the last round has it: s is 1 of 4 octets twice. */
static LB_INLINE __u32 lb_aes_last(__u32 a, __u32 b, __u32 c, __u32 d)
{
	return (lb_aes_look(lb_aes_forward, a, 0, 2) & 0xff000000) |
	       (lb_aes_look(lb_aes_forward, b, 1, 3) & 0x00ff0000) |
	       (lb_aes_look(lb_aes_forward, c, 2, 0) & 0x0000ff00) |
	       (lb_aes_look(lb_aes_forward, d, 3, 1) & 0x000000ff);
}

static LB_INLINE __u32 lb_aes_last_inverse(__u32 a, __u32 b, __u32 c, __u32 d)
{
	return (__u32)lb_aes_inverse_sbox[a >> 24] << 24 |
	       (__u32)lb_aes_inverse_sbox[b >> 16 & 0xff] << 16 |
	       (__u32)lb_aes_inverse_sbox[c >> 8 & 0xff] << 8 |
	       (__u32)lb_aes_inverse_sbox[d & 0xff];
}

/*
 * Nine rounds, three at a time: a loop of each is slower by its moves, and all of them in a row are so much
 * code that its speed hangs on where the kernel puts it.
 */
static LB_INLINE void lb_aes_encrypt(const struct lb_aes_key *key, struct lb_aes_block *block)
{
	const __u32 *k = key->encrypt, *last = k + 40;
	__u32 a = block->word[0] ^ k[0], b = block->word[1] ^ k[1];
	__u32 c = block->word[2] ^ k[2], d = block->word[3] ^ k[3];

	LB_NO_UNROLL
	for (int turn = 0; turn < 3; turn++, k += 12) {
		LB_UNROLL
		for (int i = 4; i < 16; i += 4) {
			__u32 e = lb_aes_mix(lb_aes_forward, a, b, c, d) ^ k[i];
			__u32 f = lb_aes_mix(lb_aes_forward, b, c, d, a) ^ k[i + 1];
			__u32 g = lb_aes_mix(lb_aes_forward, c, d, a, b) ^ k[i + 2];
			__u32 h = lb_aes_mix(lb_aes_forward, d, a, b, c) ^ k[i + 3];

			a = e, b = f, c = g, d = h;
		}
	}
	block->word[0] = lb_aes_last(a, b, c, d) ^ last[0];
	block->word[1] = lb_aes_last(b, c, d, a) ^ last[1];
	block->word[2] = lb_aes_last(c, d, a, b) ^ last[2];
	block->word[3] = lb_aes_last(d, a, b, c) ^ last[3];
}

/* The equivalent inverse cipher (FIPS 197 section 5.3.5). */
static LB_INLINE void lb_aes_decrypt(const struct lb_aes_key *key, struct lb_aes_block *block)
{
	const __u32 *k = key->decrypt, *last = k + 40;
	__u32 a = block->word[0] ^ k[0], b = block->word[1] ^ k[1];
	__u32 c = block->word[2] ^ k[2], d = block->word[3] ^ k[3];

	LB_NO_UNROLL
	for (int turn = 0; turn < 3; turn++, k += 12) {
		LB_UNROLL
		for (int i = 4; i < 16; i += 4) {
			__u32 e = lb_aes_mix(lb_aes_backward, a, d, c, b) ^ k[i];
			__u32 f = lb_aes_mix(lb_aes_backward, b, a, d, c) ^ k[i + 1];
			__u32 g = lb_aes_mix(lb_aes_backward, c, b, a, d) ^ k[i + 2];
			__u32 h = lb_aes_mix(lb_aes_backward, d, c, b, a) ^ k[i + 3];

			a = e, b = f, c = g, d = h;
		}
	}
	block->word[0] = lb_aes_last_inverse(a, d, c, b) ^ last[0];
	block->word[1] = lb_aes_last_inverse(b, a, d, c) ^ last[1];
	block->word[2] = lb_aes_last_inverse(c, b, a, d) ^ last[2];
	block->word[3] = lb_aes_last_inverse(d, c, b, a) ^ last[3];
}

/* key: 16 octets. Not for BPF: the programs get their round keys from a map. */
static inline void lb_aes_expand(const __u8 *key, struct lb_aes_key *expanded)
{
	__u32 *k = expanded->encrypt, turn = 1;

	for (int i = 0; i < 4; i++)
		k[i] = (__u32)key[4 * i] << 24 | (__u32)key[4 * i + 1] << 16 |
		       (__u32)key[4 * i + 2] << 8 | key[4 * i + 3];
	for (int i = 4; i < 44; i++) {
		__u32 word = k[i - 1];

		if (i % 4 == 0) {
			word = word << 8 | word >> 24;
			word = lb_aes_last(word, word, word, word) ^ turn << 24;
			turn = turn << 1 ^ (turn & 0x80 ? 0x11b : 0);
		}
		k[i] = k[i - 4] ^ word;
	}
	/* Backwards, and through inverse MixColumns but for the first and the last round. */
	for (int i = 0; i < 44; i++) {
		__u32 word = k[40 - i / 4 * 4 + i % 4];

		if (i >= 4 && i < 40) {
			word = lb_aes_last(word, word, word, word);
			word = lb_aes_mix(lb_aes_backward, word, word, word, word);
		}
		expanded->decrypt[i] = word;
	}
}

#endif
