/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types, inlining and unaligned access for headers that compile for BPF and for the host.
 */
#ifndef LB_BYTES_H
#define LB_BYTES_H

#include <linux/types.h>

#define LB_INLINE inline __attribute__((always_inline))

#ifndef LB_LIKELY
#define LB_LIKELY(x)   __builtin_expect(!!(x), 1)
#define LB_UNLIKELY(x) __builtin_expect(!!(x), 0)
#endif

/*
 * A 32-bit word as it lies in memory. BPF loads unaligned words as they are; through memcpy clang
 * would assemble each from four octets.
 */
static LB_INLINE __u32 lb_load32(const void *p)
{
#ifdef __bpf__
	return *(const __u32 *)p;
#else
	__u32 word;

	__builtin_memcpy(&word, p, sizeof(word));
	return word;
#endif
}

/*
 * Hides where a value came from, so that clang keeps one comparison of a sum of differences instead
 * of a branch a word: each branch would be one more path for the verifier to walk.
 */
#define LB_OPAQUE(x) asm volatile("" : "+r"(x))

/*
 * For the verifier only: x as it is, but no longer known to be this or that constant; any: a number it
 * knows nothing of. Two ways through the program that differ in such a constant become one.
 */
static LB_INLINE __u32 lb_forget(__u32 x, __u32 any)
{
#ifdef __bpf__
	asm volatile("%1 ^= %1\n\t%0 += %1" : "+r"(x), "+r"(any));
#else
	(void)any;
#endif
	return x;
}

/* For clang, which makes the BPF objects; gcc builds the same text for the host and needs neither. */
#ifdef __clang__
#define LB_UNROLL    _Pragma("clang loop unroll(full)")
#define LB_NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define LB_UNROLL
#define LB_NO_UNROLL
#endif

/* Host order to network order and back; the constant form serves case labels. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LB_BE16(x)    ((__u16)__builtin_bswap16(x))
#define LB_BE32(x)    ((__u32)__builtin_bswap32(x))
#define LB_CONST16(x) ((__u16)((((x)&0xff) << 8) | (((x) >> 8) & 0xff)))
#else
#define LB_BE16(x)    ((__u16)(x))
#define LB_BE32(x)    ((__u32)(x))
#define LB_CONST16(x) ((__u16)(x))
#endif

#endif
