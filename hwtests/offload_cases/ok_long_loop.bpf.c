// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// 250 times around, at offsets of the stack that the kernel counts out.
// verdict: accepted
// words: 89
#include "case.h"

SEC("xdp")
int ok_long_loop(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	const __u32 *half = (const void *)wide;
	__u32 cells[4];
	__u64 r = 0;
	int i;

	if (!wide)
		return XDP_PASS;
	cells[0] = 1 + half[0];
	cells[1] = half[1];
	cells[2] = half[2];
	cells[3] = half[3];
#pragma clang loop unroll(disable)
	for (i = 0; i < 250; i++) {
		volatile __u32 *cell = &cells[0];

		cell += i & 3;
		HIDE(cell);
		r += *cell;
	}
	return r & 1 ? XDP_TX : XDP_PASS;
}
