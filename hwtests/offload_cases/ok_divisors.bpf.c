// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Divisors whose reciprocals have 32 bits, 33 and more.
// verdict: accepted
// words: 97
#include "case.h"

SEC("xdp")
int ok_divisors(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	const __u32 *half = (const void *)wide;
	__u32 r;

	if (!wide)
		return XDP_PASS;
	r = half[0] / 7 + half[1] / 641 + half[2] / 3000000001U + (half[3] >> 3) / 12;
	return r & 1 ? XDP_TX : XDP_PASS;
}
