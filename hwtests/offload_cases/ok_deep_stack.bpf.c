// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Words, halves and octets at both ends of a large frame.
// verdict: accepted
// words: 369
#include "case.h"

SEC("xdp")
int ok_deep_stack(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	const __u32 *half = (const void *)wide;
	volatile __u64 cells[40];
	__u64 r;
	int i;

	if (!wide)
		return XDP_PASS;
#pragma unroll
	for (i = 0; i < 40; i++)
		cells[i] = half[i & 7];
	r = ((volatile __u16 *)cells)[61] + ((volatile __u8 *)cells)[150];
	r += ((volatile __u32 *)cells)[33] + cells[31];
	((volatile __u16 *)cells)[90] = r;
	((volatile __u8 *)cells)[201] = r;
	r += cells[20];
	return r & 1 ? XDP_TX : XDP_PASS;
}
