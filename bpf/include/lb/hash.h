/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one hash of the project: 32-bit words in, two 32-bit words out.
 *
 * It follows Bob Jenkins' lookup3 (public domain): additions, exclusive-ors and rotations only. A
 * card's verifier refuses a multiplication whose operands it cannot bound. Two balancers with the
 * same file must agree, so there is no random seed; the tables it fills are written by user space
 * only, and no packet adds to them.
 */
#ifndef LB_HASH_H
#define LB_HASH_H

#include "lb/bytes.h"

struct lb_hash {
	__u32 first;
	__u32 second;
};

static LB_INLINE __u32 lb_rotate(__u32 x, __u32 n)
{
	return x << n | x >> (32 - n);
}

/*
 * words: how they lie in memory, n of them (1 to 12, constant in BPF). seed: sets uses apart.
 * The result depends on the machine's byte order, like the words; it never leaves the machine.
 */
static LB_INLINE struct lb_hash lb_hash_words(const __u32 *words, __u32 n, __u32 seed)
{
	__u32 a = 0xdeadbeef + (n << 2) + seed, b = a, c = a;
	struct lb_hash hash;

	while (n > 3) {
		a += words[0];
		b += words[1];
		c += words[2];
		a -= c, a ^= lb_rotate(c, 4), c += b;
		b -= a, b ^= lb_rotate(a, 6), a += c;
		c -= b, c ^= lb_rotate(b, 8), b += a;
		a -= c, a ^= lb_rotate(c, 16), c += b;
		b -= a, b ^= lb_rotate(a, 19), a += c;
		c -= b, c ^= lb_rotate(b, 4), b += a;
		words += 3;
		n -= 3;
	}
	if (n > 2)
		c += words[2];
	if (n > 1)
		b += words[1];
	a += words[0];
	c ^= b, c -= lb_rotate(b, 14);
	a ^= c, a -= lb_rotate(c, 11);
	b ^= a, b -= lb_rotate(a, 25);
	c ^= b, c -= lb_rotate(b, 16);
	a ^= c, a -= lb_rotate(c, 4);
	b ^= a, b -= lb_rotate(a, 14);
	c ^= b, c -= lb_rotate(b, 24);
	hash.first = c;
	hash.second = b;
	return hash;
}

/* Seeds, one a use: equal words in two tables shall not share a fate. */
enum {
	LB_SEED_TABLE = 0x7461626cu,
	LB_SEED_ROW = 0x726f7773u,
	LB_SEED_MAGLEV = 0x6d61676cu,
};

#endif
