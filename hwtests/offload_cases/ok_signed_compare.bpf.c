// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Signed comparisons, of 32 and of 64 bits.
// verdict: accepted
// words: 71
#include "case.h"

SEC("xdp")
int ok_signed_compare(struct xdp_md *ctx)
{
	const __s64 *first = packet(ctx, 64);
	__s32 half;

	if (!first)
		return XDP_PASS;
	half = (__s32)first[1];
	return first[0] < -5 && half > first[2] && half < 100 ? XDP_TX : XDP_PASS;
}
