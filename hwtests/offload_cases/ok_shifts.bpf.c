// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// By constants and by registers, of 32 and of 64 bits, signed and not.
// verdict: accepted
// words: 106
#include "case.h"

SEC("xdp")
int ok_shifts(struct xdp_md *ctx)
{
	const __u64 *first = packet(ctx, 64);
	__u64 x;
	__s64 y;
	__u32 z;

	if (!first)
		return XDP_PASS;
	x = first[0] << 7 | first[0] >> 57;
	x ^= first[1] << (first[2] & 63);
	y = (__s64)first[3] >> (first[2] & 31);
	z = (__u32)x >> 3 ^ (__u32)y << (x & 31);
	z ^= (__s32)z >> 5;
	return (x ^ z ^ y) & 1 ? XDP_TX : XDP_PASS;
}
