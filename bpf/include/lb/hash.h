/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hash of the data path: five 32-bit words in, two out.
 *
 * Two products side by side, as in NH (RFC 4418 section 5.2), added up, folded and multiplied once more: what a
 * look-up waits for is two multiplications, not four in a row, and a card has fewer words to hold. Two
 * balancers with the same file must agree, so there is no random seed; the tables it fills are written by user
 * space only, and no packet adds to them. Both halves come of one digest of 32 bits. Another hash is another
 * layout of all tables: LB_MAGIC.
 */
#ifndef LB_HASH_H
#define LB_HASH_H

#include "lb/bytes.h"

static LB_INLINE __u32 lb_fold(__u64 product)
{
	return (__u32)product ^ (__u32)(product >> 32);
}

/*
 * x, for an exclusive-or of two unknown words that is about to be multiplied: a card's verifier has to see
 * that factors have 32 bits, and that of Linux 6.1 forgets it there.
 */
static LB_INLINE __u32 lb_factor(__u32 x)
{
#ifdef __bpf__
	asm volatile("%0 = %0" : "+w"(x));
#endif
	return x;
}

/* A factor of zero would swallow the other one, and one of one would be undone by the words that are added. */
static LB_INLINE __u32 lb_large(__u32 factor)
{
	return factor | 1u << 31;
}

static LB_INLINE __u64 lb_multiply(__u32 a, __u32 b)
{
	return (__u64)a * b;
}

/*
 * Five words, as they lie in memory: two pairs and one. Two results, the second above the first one, for
 * BPF functions return no structures. They depend on the machine's byte order, like the words, and never
 * leave the machine.
 */
static LB_SUB __u64 lb_hash(__u64 first, __u64 second, __u32 last)
{
	__u64 left = lb_multiply(lb_large((__u32)first ^ 0xda779d50),
				 lb_large((__u32)(first >> 32) ^ 0xf44213c9));
	__u64 right = lb_multiply(lb_large((__u32)second ^ 0xf89718ae),
				  lb_large(lb_factor((__u32)(second >> 32) ^ last) ^ 0x5ac4662f));

	/* And the words themselves, for the highest bit of a factor is always set. */
	left = (left ^ first) + (right ^ second) + last;
	left = lb_multiply(lb_factor(lb_fold(left)), 0xf045851f);
	return left ^ left >> 32;
}

#endif
