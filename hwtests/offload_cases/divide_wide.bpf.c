// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A dividend of 64 bits.
// verdict: refused
// rule: divide
// driver: dividend is not within u32 value range
#include "case.h"

SEC("xdp")
int divide_wide(struct xdp_md *ctx)
{
	const __u64 *first = packet(ctx, 64);

	return first && *first / 1000 & 1 ? XDP_TX : XDP_PASS;
}
