// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A second factor below zero.
// verdict: refused
// rule: multiply
// driver: sign extended multiplicand won't be within u32 value range
#include "case.h"

SEC("xdp")
int multiply_by_negative(struct xdp_md *ctx)
{
	__u64 x = word(ctx);

	asm volatile("%0 *= -3" : "+r"(x));
	return x & 64 ? XDP_TX : XDP_PASS;
}
