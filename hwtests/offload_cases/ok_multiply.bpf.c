// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Factors that are known to fit 32 bits, by their type, by a mask and by a comparison.
// verdict: accepted
// words: 95
#include "case.h"

SEC("xdp")
int ok_multiply(struct xdp_md *ctx)
{
	const __u16 *two = packet(ctx, 64);
	__u64 product;
	__u64 wide;

	if (!two)
		return XDP_PASS;
	wide = *(__u64 *)(two + 4);
	product = (__u64)two[0] * two[1];
	product += (wide & 0xffffff) * 3;
	if (wide < 1000000)
		product += wide * two[2];
	return product & 64 ? XDP_TX : XDP_PASS;
}
