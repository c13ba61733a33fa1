// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Three frames of 144 octets: 480 for the kernel, 576 for the card, which rounds to 64.
// verdict: refused
// rule: stack-size
// driver: stack too large: program
#include "case.h"

static __noinline __u64 third(__u64 x)
{
	asm volatile("*(u64 *)(r10 - 144) = %0" : : "r"(x) : "memory");
	asm volatile("%0 = *(u64 *)(r10 - 144)" : "=r"(x) : : "memory");
	return x + 1;
}

static __noinline __u64 second(__u64 x)
{
	asm volatile("*(u64 *)(r10 - 144) = %0" : : "r"(x) : "memory");
	x = third(x + 3);
	asm volatile("r1 = *(u64 *)(r10 - 144)\n%0 += r1" : "+r"(x) : : "memory", "r1");
	return x;
}

SEC("xdp")
int stack_size(struct xdp_md *ctx)
{
	__u64 x = word(ctx);

	asm volatile("*(u64 *)(r10 - 144) = %0" : : "r"(x) : "memory");
	x = second(x + 5);
	asm volatile("r1 = *(u64 *)(r10 - 144)\n%0 += r1" : "+r"(x) : : "memory", "r1");
	return x & 1 ? XDP_TX : XDP_PASS;
}
