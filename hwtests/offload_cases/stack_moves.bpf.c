// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One load, at offsets that differ by two.
// verdict: refused
// rule: stack-moves
// driver: stack access changed location
#include "case.h"

SEC("xdp")
int stack_moves(struct xdp_md *ctx)
{
	__u32 x = word(ctx);
	volatile __u16 cells[4] = { x, x >> 1, x >> 2, x >> 3 };
	volatile __u16 *cell = &cells[0];

	if (x & 1)
		cell = &cells[3];
	HIDE(cell);
	return *cell & 2 ? XDP_TX : XDP_PASS;
}
