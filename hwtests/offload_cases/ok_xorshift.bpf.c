// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A hash of shifts and xors, which needs no product.
// verdict: accepted
// words: 57
#include "case.h"

SEC("xdp")
int ok_xorshift(struct xdp_md *ctx)
{
	const __u32 *first = packet(ctx, 64);
	__u32 h;

	if (!first)
		return XDP_PASS;
	h = first[0] ^ first[1];
	h ^= h << 13;
	h ^= h >> 17;
	h ^= h << 5;
	return h & 1 ? XDP_TX : XDP_PASS;
}
