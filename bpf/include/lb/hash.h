/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hash of the data path: five 32-bit words in, two out.
 *
 * Products of 32-bit factors, both halves of each folded together: a product's chain is a third as long as
 * that of additions and rotations, and on a card it is a third of the words. Two balancers with the same
 * file must agree, so there is no random seed; the tables it fills are written by user space only, and no
 * packet adds to them.
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
	__u64 product = lb_multiply((__u32)first ^ 0x53c5ca59, (__u32)(first >> 32) ^ 0x74743c1b);

	/* Once more, for a factor of zero has swallowed the other one. */
	product ^= first ^ second;
	product = lb_multiply((__u32)product, (__u32)(product >> 32));
	product =
		lb_multiply(lb_factor((__u32)product ^ last), (__u32)(product >> 32) ^ 0x85ebca6b);
	product = lb_multiply((__u32)product ^ 0xc2b2ae35, lb_factor(lb_fold(product)));
	return product ^ product >> 32;
}

#endif
