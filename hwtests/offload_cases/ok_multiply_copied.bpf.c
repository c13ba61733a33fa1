// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What is learnt of a number holds for its copy in another register.
// verdict: accepted
// words: 59
#include "case.h"

SEC("xdp")
int ok_multiply_copied(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	__u64 r;

	if (!wide)
		return XDP_PASS;
	r = wide[0];
	asm volatile("r4 = %0\n"
		     "if %0 > 99 goto +2\n"
		     "r4 *= 5\n"
		     "%0 = r4"
		     : "+r"(r)
		     :
		     : "r4");
	return r & 1 ? XDP_TX : XDP_PASS;
}
