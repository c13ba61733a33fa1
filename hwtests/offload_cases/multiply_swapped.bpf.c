// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a swap of octets gives is unknown to Linux 6.1, even of 16 bits.
// verdict: refused
// rule: multiply
// driver: multiplier is not within u32 value range
#include "case.h"

SEC("xdp")
int multiply_swapped(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	const __u32 *half = (const void *)wide;
	__u64 r;

	if (!wide)
		return XDP_PASS;
	r = __builtin_bswap16((__u16)half[0]);
	asm volatile("%0 *= 9" : "+r"(r));
	return r & 1 ? XDP_TX : XDP_PASS;
}
