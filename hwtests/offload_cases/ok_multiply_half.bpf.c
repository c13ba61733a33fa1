// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A comparison of 32 bits, and the upper half cleared.
// verdict: accepted
// words: 58
#include "case.h"

SEC("xdp")
int ok_multiply_half(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	register __u64 r asm("r7");

	if (!wide)
		return XDP_PASS;
	r = wide[0];
	asm volatile("if w7 > 100 goto +3\n"
		     "w7 = w7\n"
		     "r7 *= 7\n"
		     "r7 += 1"
		     : "+r"(r));
	return r & 1 ? XDP_TX : XDP_PASS;
}
