// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A second factor of 64 bits.
// verdict: refused
// rule: multiply
// driver: multiplicand is not within u32 value range
#include "case.h"

SEC("xdp")
int multiply_by_wide(struct xdp_md *ctx)
{
	const __u64 *first = packet(ctx, 64);
	register __u64 one asm("r3");
	register __u64 two asm("r4");

	if (!first)
		return XDP_PASS;
	one = (__u32)first[0];
	two = first[1];
	asm volatile("%0 *= %1" : "+r"(one) : "r"(two));
	return one & 64 ? XDP_TX : XDP_PASS;
}
