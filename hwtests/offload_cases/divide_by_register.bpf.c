// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A divisor that is not known.
// verdict: refused
// rule: divide
// driver: divisor is not constant
#include "case.h"

SEC("xdp")
int divide_by_register(struct xdp_md *ctx)
{
	__u32 x = word(ctx);
	__u32 y = 1000000;

	asm volatile("%0 /= %1" : "+r"(y) : "r"(x));
	return y > 17 ? XDP_TX : XDP_PASS;
}
