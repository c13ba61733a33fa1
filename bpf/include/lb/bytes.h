/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types, inlining and unaligned access for headers that compile for BPF and for the host.
 */
#ifndef LB_BYTES_H
#define LB_BYTES_H

#include <linux/types.h>

#define LB_INLINE inline __attribute__((always_inline))

/*
 * In line on the host; on a card, which takes a fixed number of instructions, a function of its own: there
 * once, and with a small stack frame, for there only the last 64 octets of a frame are cheap to reach. At
 * most five arguments. Likewise a loop, unrolled on the host.
 */
#ifndef LB_SUB
#define LB_SUB LB_INLINE
#endif

/* 1: so short a program that the verifier may walk it more than once for different constants. */
#ifndef LB_FEW_WAYS
#define LB_FEW_WAYS 0
#endif

/*
 * Whether n octets at p can be read, where an earlier step has made sure of it already. The verifier
 * remembers that with the pointer, so a card, which has no instruction to spare, does not ask again.
 */
#ifndef LB_STILL_READABLE
#define LB_STILL_READABLE(end, p, n) ((const __u8 *)(p) + (n) <= (const __u8 *)(end))
#endif

/* Two words at once, wherever they are declared as words. */
typedef __u64 __attribute__((may_alias)) lb_pair;

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

static LB_INLINE __u32 lb_load16(const void *p)
{
#ifdef __bpf__
	return *(const __u16 *)p;
#else
	__u16 half;

	__builtin_memcpy(&half, p, sizeof(half));
	return half;
#endif
}

/* Of two octets loaded at once, the one that lies behind. */
static LB_INLINE __u32 lb_second_octet(__u32 half)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return half >> 8;
#else
	return half & 0xff;
#endif
}

static LB_INLINE __u64 lb_load64(const void *p)
{
#ifdef __bpf__
	return *(const __u64 *)p;
#else
	__u64 words;

	__builtin_memcpy(&words, p, sizeof(words));
	return words;
#endif
}

/*
 * Hides where a value came from, so that clang keeps one comparison of a sum of differences instead
 * of a branch a word: each branch would be one more path for the verifier to walk.
 */
#define LB_OPAQUE(x) asm volatile("" : "+r"(x))

/*
 * A result that few packets have: it is made where it is needed, and not by every packet in front of the comparison
 * that leads there, as clang would have it.
 */
#if defined(__bpf__) && !LB_FEW_WAYS && !defined(__clang_analyzer__)
#define LB_RARE(x) LB_OPAQUE(x)
#else
#define LB_RARE(x) ((void)0)
#endif

/*
 * For the verifier only: x as it is, but no longer known to be this or that constant; any: a number it
 * knows nothing of. Two ways through the program that differ in such a constant become one.
 */
static LB_INLINE __u32 lb_forget(__u32 x, __u32 any)
{
#if defined(__bpf__) && !LB_FEW_WAYS
	asm volatile("%1 ^= %1\n\t%0 += %1" : "+r"(x), "+r"(any));
#else
	(void)any;
#endif
	return x;
}

/*
 * x, which is nearly always `usual`, a constant: what follows then hangs on a branch, which a CPU predicts, and no
 * longer on the loads that x came from. For that clang must not see that the two are the same.
 */
#if defined(__bpf__) && !LB_FEW_WAYS
#define LB_EXPECT(x, usual)                                             \
	do {                                                            \
		if (LB_LIKELY((x) == (usual)))                          \
			asm volatile("%0 = %1" : "=r"(x) : "i"(usual)); \
	} while (0)
#else
#define LB_EXPECT(x, usual) ((void)0)
#endif

/* For clang, which makes the BPF objects; gcc builds the same text for the host and needs neither. */
#ifdef __clang__
#define LB_UNROLL    _Pragma("clang loop unroll(full)")
#define LB_NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define LB_UNROLL
#define LB_NO_UNROLL
#endif
#ifndef LB_LOOP
#define LB_LOOP LB_UNROLL
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
