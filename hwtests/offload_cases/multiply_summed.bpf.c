// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A sum that grows in a loop.
// verdict: refused
// rule: multiply
// driver: multiplier is not within u32 value range
#include "case.h"

SEC("xdp")
int multiply_summed(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	__u64 r = 1;
	__u32 i;

	if (!wide)
		return XDP_PASS;
#pragma clang loop unroll(disable)
	for (i = 0; i < 20; i++)
		r = r * 31 + ((const __u8 *)wide)[i & 63];
	return r & 1 ? XDP_TX : XDP_PASS;
}
