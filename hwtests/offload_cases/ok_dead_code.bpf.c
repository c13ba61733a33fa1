// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What no path reaches is dropped before the card hears of it.
// verdict: accepted
// words: 28
#include "case.h"

SEC("xdp")
int ok_dead_code(struct xdp_md *ctx)
{
	__u64 zero = 0;

	HIDE(ctx);
	asm volatile("%0 = 0\n"
		     "if %0 == 0 goto +1\n"
		     "call 5\n"
		     : "=r"(zero)
		     :
		     : "r0", "r1", "r2", "r3", "r4", "r5");
	return zero ? XDP_TX : XDP_PASS;
}
