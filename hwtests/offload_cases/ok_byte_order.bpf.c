// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Swaps of 16, 32 and 64 bits.
// verdict: accepted
// words: 66
#include "case.h"

SEC("xdp")
int ok_byte_order(struct xdp_md *ctx)
{
	const __u64 *first = packet(ctx, 64);
	__u64 x;

	if (!first)
		return XDP_PASS;
	x = __builtin_bswap64(first[0]);
	x += __builtin_bswap32((__u32)first[1]);
	x += __builtin_bswap16((__u16)first[2]);
	return x & 1 ? XDP_TX : XDP_PASS;
}
