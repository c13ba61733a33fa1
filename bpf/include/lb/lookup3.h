/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hash of names and other octets that user space makes tables of: Bob Jenkins' lookup3 (public
 * domain). Packets are hashed by lb/hash.h.
 */
#ifndef LB_LOOKUP3_H
#define LB_LOOKUP3_H

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
 * words: how they lie in memory, n of them (1 or more). seed: sets uses apart.
 * The result depends on the machine's byte order, like the words; it never leaves the machine.
 */
static LB_INLINE struct lb_hash lb_lookup3(const __u32 *words, __u32 n, __u32 seed)
{
	__u32 a = 0xdeadbeef + (n << 2) + seed, b = a, c = a;

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
	return (struct lb_hash){ .first = c, .second = b };
}

/* Seeds, one a use: equal words in two uses shall not share a fate. */
enum {
	LB_SEED_MAGLEV = 0x6d61676cu,
	LB_SEED_TAG = 0x74616773u,
};

#endif
