// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Frames of two functions, rounded up to 64 octets each, within the 512.
// verdict: accepted
// words: 83
#include "case.h"

static __noinline __u64 inner(__u64 x)
{
	asm volatile("*(u64 *)(r10 - 96) = %0" : : "r"(x) : "memory");
	asm volatile("%0 = *(u64 *)(r10 - 96)" : "=r"(x) : : "memory");
	return x + 1;
}

static __noinline __u64 outer(__u64 x)
{
	asm volatile("*(u64 *)(r10 - 96) = %0" : : "r"(x) : "memory");
	x = inner(x + 3);
	asm volatile("r1 = *(u64 *)(r10 - 96)\n%0 += r1" : "+r"(x) : : "memory", "r1");
	return x;
}

SEC("xdp")
int ok_deep_calls(struct xdp_md *ctx)
{
	return outer(word(ctx)) & 1 ? XDP_TX : XDP_PASS;
}
