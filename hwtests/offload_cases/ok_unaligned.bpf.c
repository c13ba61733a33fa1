// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Loads from odd places of the packet.
// verdict: accepted
// words: 66
#include "case.h"

SEC("xdp")
int ok_unaligned(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	const char *octets = (const char *)wide;
	__u64 r;

	if (!wide)
		return XDP_PASS;
	r = *(const __u32 *)(octets + 1) + *(const __u64 *)(octets + 13);
	r += *(const __u16 *)(octets + 3) + *(const __u16 *)(octets + 23);
	r += wide[15];
	return r & 1 ? XDP_TX : XDP_PASS;
}
