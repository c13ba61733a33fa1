/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The two ciphers of QUIC-LB connection IDs (draft-ietf-quic-load-balancers-21 sections 5.4 and 5.5):
 * one block where server id and nonce have 16 octets together, else a four-pass Feistel network.
 *
 * The data path takes a server id out (lb_cid_decrypt()); user space prepares keys for it and makes
 * CIDs (lb_cid_key_prepare(), lb_cid_encrypt()). The two ways are written apart: one works on words
 * with offsets and masks that were worked out beforehand, the other on octets as the draft has it.
 */
#ifndef LB_CIPHER_H
#define LB_CIPHER_H

#include "lb/aes.h"

#define LB_SINGLE_PASS_BODY 16

/*
 * Octets in front of the body that lb_cid_decrypt() may read, though not use: reading backwards from
 * the end of a short body never leaves the packet, reading forwards might. In a packet they are the
 * UDP header, the flags and the first octet of the CID.
 */
#define LB_CID_LEAD 10

/*
 * cid_key_map: what decoding one config takes. A half of the body is held as its first eight octets
 * (high) and the two after them (low), both from the highest bit down; the masks have ones over the
 * half's own bits, which for an odd body leaves out a nibble. Offsets count from LB_CID_LEAD octets
 * in front of the body.
 */
struct lb_cid_key {
	struct lb_aes_key aes;
	__u64 mask_high[2]; /* of the left half, of the right one */
	__u32 mask_low[2];
	__u32 mask[4]; /* of the server id, as in lb_cid_config */
	__u32 length; /* of the body */
	__u8 passes; /* 0: single-pass; 3: the left half is enough; else 4 */
	__u8 left_at, left_shift, left_low_at;
	__u8 right_at, right_shift, right_low_at, right_low_shift;
	__u8 join_shift; /* bits that the right half lies behind the left one's beginning */
	__u8 pad[3];
};

struct lb_cid_half {
	__u64 high;
	__u32 low;
};

static LB_INLINE __u64 lb_load64_be(const __u8 *p)
{
	__u64 words = lb_load64(p);

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	words = __builtin_bswap64(words);
#endif
	return words;
}

/* 0 if it would read past end, which a CID of full length does not. */
static LB_INLINE int lb_cid_load(const __u8 *lead, __u32 at, const void *end, __u64 *octets)
{
	const __u8 *p = lead + (at & 31);

	if (p + 8 > (const __u8 *)end)
		return 0;
	*octets = lb_load64_be(p);
	return 1;
}

static LB_INLINE int lb_cid_load_low(const __u8 *lead, __u32 at, const void *end, __u32 *octets)
{
	const __u8 *p = lead + (at & 31);

	if (p + 2 > (const __u8 *)end)
		return 0;
	*octets = (__u32)p[0] << 8 | p[1];
	return 1;
}

/* to ^= what the other half and the pass number encipher to; side: which one `to` is, 0: the left one. */
static LB_INLINE void lb_cid_pass(const struct lb_cid_key *key, __u32 pass, __u32 side,
				  const struct lb_cid_half *from, struct lb_cid_half *to)
{
	struct lb_aes_block block = { {
		(__u32)(from->high >> 32),
		(__u32)from->high,
		from->low << 16,
		key->length << 8 | pass,
	} };

	lb_aes_encrypt(&key->aes, &block);
	to->high ^= ((__u64)block.word[0] << 32 | block.word[1]) & key->mask_high[side];
	to->low ^= block.word[2] >> 16 & key->mask_low[side];
}

static LB_INLINE void lb_cid_swap(struct lb_cid_half *a, struct lb_cid_half *b)
{
	struct lb_cid_half c = *a;

	*a = *b;
	*b = c;
}

/* The first 16 octets of the plain body, from two halves; the right one only if it is known. */
static LB_INLINE void lb_cid_join(const struct lb_cid_key *key, const struct lb_cid_half *left,
				  const struct lb_cid_half *right, __u64 *high, __u64 *low)
{
	__u32 shift = key->join_shift & 127;

	*high = left->high;
	*low = (__u64)left->low << 48;
	if (key->passes != 4)
		return;
	if (shift >= 64) {
		*low |= right->high >> (shift & 63);
		return;
	}
	*high |= right->high >> shift;
	*low |= right->high << ((64 - shift) & 63);
}

/* Passes 4, 3, 2 give the left half; with it the server id, unless that reaches into the right. */
static LB_INLINE int lb_cid_four_pass(const struct lb_cid_key *key, const __u8 *lead,
				      const void *end, __u64 *high, __u64 *low)
{
	struct lb_cid_half to, from;

	if (!lb_cid_load(lead, key->left_at, end, &to.high) ||
	    !lb_cid_load_low(lead, key->left_low_at, end, &to.low) ||
	    !lb_cid_load(lead, key->right_at, end, &from.high) ||
	    !lb_cid_load_low(lead, key->right_low_at, end, &from.low))
		return 0;
	to.high = to.high << (key->left_shift & 63) & key->mask_high[0];
	to.low &= key->mask_low[0];
	from.high = from.high << (key->right_shift & 63) & key->mask_high[1];
	from.low = from.low << (key->right_low_shift & 31) & key->mask_low[1];

	LB_NO_UNROLL
	for (__u32 i = 0; i < 4; i++) {
		/* Else clang 19 reads all that a pass asks of the key before the first one, into the stack. */
		LB_OPAQUE(key);
		if (i >= key->passes)
			break;
		lb_cid_pass(key, 4 - i, i & 1, &from, &to);
		lb_cid_swap(&from, &to);
	}
	if (key->passes == 4)
		lb_cid_join(key, &to, &from, high, low);
	else
		lb_cid_join(key, &from, &to, high, low);
	return 1;
}

static LB_INLINE int lb_cid_single_pass(const struct lb_cid_key *key, const __u8 *lead,
					const void *end, __u64 *high, __u64 *low)
{
	struct lb_aes_block block;

	if (!lb_cid_load(lead, LB_CID_LEAD, end, high) ||
	    !lb_cid_load(lead, LB_CID_LEAD + 8, end, low))
		return 0;
	block.word[0] = (__u32)(*high >> 32);
	block.word[1] = (__u32)*high;
	block.word[2] = (__u32)(*low >> 32);
	block.word[3] = (__u32)*low;
	lb_aes_decrypt(&key->aes, &block);
	*high = (__u64)block.word[0] << 32 | block.word[1];
	*low = (__u64)block.word[2] << 32 | block.word[3];
	return 1;
}

/*
 * The server id of an encrypted CID, padded with zeros to four words in network order. lead: LB_CID_LEAD octets in
 * front of the body; the body must be whole. 0 if it is not. All it asks is in the key: what else stays at hand
 * meanwhile would lie on the stack.
 */
static LB_INLINE int lb_cid_decrypt(const struct lb_cid_key *key, const __u8 *lead, const void *end,
				    __u32 *words)
{
	__u64 high, low;
	int whole;

	if (!key->passes)
		whole = lb_cid_single_pass(key, lead, end, &high, &low);
	else
		whole = lb_cid_four_pass(key, lead, end, &high, &low);
	if (!whole)
		return 0;
	words[0] = LB_BE32((__u32)(high >> 32)) & key->mask[0];
	words[1] = LB_BE32((__u32)high) & key->mask[1];
	words[2] = LB_BE32((__u32)(low >> 32)) & key->mask[2];
	words[3] = LB_BE32((__u32)low) & key->mask[3];
	return 1;
}

#ifndef __bpf__

/* Ones over the first `octets` octets of a half's high and low part. */
static inline void lb_cid_half_mask(__u32 octets, __u64 *high, __u32 *low)
{
	*high = octets >= 8 ? ~0ull : ~(~0ull >> 8 * octets);
	*low = octets > 8 ? 0xffff & ~(0xffffu >> 8 * (octets - 8)) : 0;
}

/* key: 16 octets. Lengths: legal ones (draft section 5). Fills all of *prepared. */
static inline void lb_cid_key_prepare(const __u8 *key, __u32 server_id_length, __u32 nonce_length,
				      struct lb_cid_key *prepared)
{
	__u32 length = server_id_length + nonce_length, half = (length + 1) / 2, last = half - 1;

	__builtin_memset(prepared, 0, sizeof(*prepared));
	lb_aes_expand(key, &prepared->aes);
	prepared->length = length;
	prepared->passes = length == LB_SINGLE_PASS_BODY    ? 0 :
			   server_id_length <= nonce_length ? 3 :
							      4;
	__builtin_memset(prepared->mask, 0xff, server_id_length);
	prepared->left_at = LB_CID_LEAD - (length < 8 ? 8 - length : 0);
	prepared->left_shift = length < 8 ? 8 * (8 - length) : 0;
	prepared->left_low_at = half > 8 ? LB_CID_LEAD + 8 : LB_CID_LEAD;
	prepared->right_at = LB_CID_LEAD + length - (half > 8 ? half : 8);
	prepared->right_shift = half < 8 ? 8 * (8 - half) : 0;
	prepared->right_low_at = LB_CID_LEAD + length - 2;
	prepared->right_low_shift = half == 9 ? 8 : 0;
	prepared->join_shift = 8 * (length - half);
	lb_cid_half_mask(half, &prepared->mask_high[0], &prepared->mask_low[0]);
	prepared->mask_high[1] = prepared->mask_high[0];
	prepared->mask_low[1] = prepared->mask_low[0];
	if (length % 2) {
		/* The middle octet is shared: its high nibble is the left half's, its low the right's. */
		if (last < 8)
			prepared->mask_high[0] &= ~(0x0full << 8 * (7 - last));
		else
			prepared->mask_low[0] &= last == 8 ? ~0x0f00u : ~0x0fu;
		prepared->mask_high[1] &= ~0ull >> 4;
	}
}

/* One pass of the network over octets, as the draft writes it. */
static inline void lb_cid_pass_octets(const struct lb_aes_key *key, __u32 length, __u32 pass,
				      const __u8 *from, __u8 *to)
{
	__u32 half = (length + 1) / 2;
	struct lb_aes_block block = { { 0, 0, 0, length << 8 | pass } };

	for (__u32 i = 0; i < half; i++)
		block.word[i / 4] |= (__u32)from[i] << (24 - 8 * (i % 4));
	lb_aes_encrypt(key, &block);
	for (__u32 i = 0; i < half; i++)
		to[i] ^= (__u8)(block.word[i / 4] >> (24 - 8 * (i % 4)));
	if (length % 2 && pass % 2)
		to[0] &= 0x0f;
	else if (length % 2)
		to[half - 1] &= 0xf0;
}

/* The halves of a body; of an odd one each has its own nibble of the middle octet. */
static inline void lb_cid_split_octets(const __u8 *body, __u32 length, __u8 *left, __u8 *right)
{
	__u32 half = (length + 1) / 2;

	__builtin_memcpy(left, body, half);
	__builtin_memcpy(right, body + length - half, half);
	if (length % 2) {
		left[half - 1] &= 0xf0;
		right[0] &= 0x0f;
	}
}

static inline void lb_cid_join_octets(__u8 *body, __u32 length, __u8 *left, const __u8 *right)
{
	__u32 half = (length + 1) / 2;

	__builtin_memcpy(body + length - half, right, half);
	if (length % 2)
		left[half - 1] |= right[0];
	__builtin_memcpy(body, left, half);
}

static inline void lb_cid_encrypt_four(const struct lb_aes_key *key, __u8 *body, __u32 length)
{
	__u8 left[10], right[10];

	lb_cid_split_octets(body, length, left, right);
	lb_cid_pass_octets(key, length, 1, left, right);
	lb_cid_pass_octets(key, length, 2, right, left);
	lb_cid_pass_octets(key, length, 3, left, right);
	lb_cid_pass_octets(key, length, 4, right, left);
	lb_cid_join_octets(body, length, left, right);
}

static inline void lb_cid_decrypt_four(const struct lb_aes_key *key, __u8 *body, __u32 length)
{
	__u8 left[10], right[10];

	lb_cid_split_octets(body, length, left, right);
	lb_cid_pass_octets(key, length, 4, right, left);
	lb_cid_pass_octets(key, length, 3, left, right);
	lb_cid_pass_octets(key, length, 2, right, left);
	lb_cid_pass_octets(key, length, 1, left, right);
	lb_cid_join_octets(body, length, left, right);
}

static inline void lb_cid_load_block(const __u8 *octets, struct lb_aes_block *block)
{
	for (int i = 0; i < 4; i++)
		block->word[i] = LB_BE32(lb_load32(octets + 4 * i));
}

static inline void lb_cid_store_block(const struct lb_aes_block *block, __u8 *octets)
{
	for (int i = 0; i < 4; i++) {
		__u32 word = LB_BE32(block->word[i]);

		__builtin_memcpy(octets + 4 * i, &word, 4);
	}
}

/* body: server id and nonce, length octets (5 to 19) in all, enciphered in place. */
static inline void lb_cid_encrypt(const struct lb_aes_key *key, __u8 *body, __u32 length)
{
	struct lb_aes_block block;

	if (length != LB_SINGLE_PASS_BODY) {
		lb_cid_encrypt_four(key, body, length);
		return;
	}
	lb_cid_load_block(body, &block);
	lb_aes_encrypt(key, &block);
	lb_cid_store_block(&block, body);
}

/* The other way round, nonce and all; what a balancer does is lb_cid_decrypt(). */
static inline void lb_cid_decrypt_octets(const struct lb_aes_key *key, __u8 *body, __u32 length)
{
	struct lb_aes_block block;

	if (length != LB_SINGLE_PASS_BODY) {
		lb_cid_decrypt_four(key, body, length);
		return;
	}
	lb_cid_load_block(body, &block);
	lb_aes_decrypt(key, &block);
	lb_cid_store_block(&block, body);
}

#endif

#endif
