// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The products that clang makes of a hash of shifts and additions.
// verdict: refused
// rule: multiply
// driver: multiplier is not within u32 value range
#include "case.h"

SEC("xdp")
int multiply_hash(struct xdp_md *ctx)
{
	const __u64 *first = packet(ctx, 64);
	__u64 h;

	if (!first)
		return XDP_PASS;
	h = first[0] ^ first[1];
	h += h << 3;
	h ^= h >> 41;
	return h & 1 ? XDP_TX : XDP_PASS;
}
