// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One load, at offsets that differ by a multiple of four.
// verdict: accepted
// words: 76
#include "case.h"

SEC("xdp")
int ok_stack_in_two_places(struct xdp_md *ctx)
{
	__u32 x = word(ctx);
	volatile __u32 cells[4] = { x, x >> 1, x >> 2, x >> 3 };
	volatile __u32 *cell = &cells[0];

	if (x & 1)
		cell = &cells[2];
	HIDE(cell);
	return *cell & 2 ? XDP_TX : XDP_PASS;
}
