/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hash of the data path: five 32-bit words in, two out.
 *
 * Two products side by side, as in NH (RFC 4418 section 5.2), added up, folded and multiplied once more: what a
 * look-up waits for is two multiplications, not four in a row, and a card has fewer words to hold. Two
 * balancers with the same file must agree, so there is no random seed; the tables it fills are written by user
 * space only, and no packet adds to them. The constants are the best of 400 random ones over keys that differ in
 * a few bits (bpf/tests/test_hash.c).
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
	__u64 left = lb_multiply((__u32)first ^ 0x9af6075e, (__u32)(first >> 32) ^ 0x1c6ba235);
	__u64 right = lb_multiply((__u32)second ^ 0x615b20cd,
				  lb_factor((__u32)(second >> 32) ^ last) ^ 0xc893d2cc);

	/* And the words themselves, for a factor of zero has swallowed the other one. */
	left = (left ^ first) + (right ^ second);
	left = lb_multiply(lb_factor(lb_fold(left)), 0x85233037);
	return left ^ left >> 32;
}

#endif
