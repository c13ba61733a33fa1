// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What is learnt of a number does not hold for its copy on the stack.
// verdict: refused
// rule: multiply
// driver: multiplier is not within u32 value range
#include "case.h"

SEC("xdp")
int multiply_spilled(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	__u64 r;

	if (!wide)
		return XDP_PASS;
	r = wide[0];
	asm volatile("*(u64 *)(r10 - 64) = %0\n"
		     "if %0 > 99 goto +3\n"
		     "r4 = *(u64 *)(r10 - 64)\n"
		     "r4 *= 5\n"
		     "%0 = r4"
		     : "+r"(r)
		     :
		     : "memory", "r4");
	return r & 1 ? XDP_TX : XDP_PASS;
}
