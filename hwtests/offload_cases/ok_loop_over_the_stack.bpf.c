// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A loop over words of the stack: all its offsets are multiples of four.
// verdict: accepted
// words: 112
#include "case.h"

SEC("xdp")
int ok_loop_over_the_stack(struct xdp_md *ctx)
{
	volatile __u32 cells[24] = {};
	__u32 sum = 0;
	int i;

	cells[5] = word(ctx);
#pragma clang loop unroll(disable)
	for (i = 0; i < 24; i++)
		sum += cells[i];
	return sum & 1 ? XDP_TX : XDP_PASS;
}
