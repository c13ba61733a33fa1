// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A factor of 64 bits.
// verdict: refused
// rule: multiply
// driver: multiplier is not within u32 value range
#include "case.h"

SEC("xdp")
int multiply_wide(struct xdp_md *ctx)
{
	const __u64 *first = packet(ctx, 64);

	return first && (*first * 31 & 64) ? XDP_TX : XDP_PASS;
}
