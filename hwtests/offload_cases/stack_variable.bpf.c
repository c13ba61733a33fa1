// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A table on the stack, read by an index.
// verdict: refused
// rule: stack-variable
// driver: variable ptr stack access
#include "case.h"

SEC("xdp")
int stack_variable(struct xdp_md *ctx)
{
	__u32 x = word(ctx);
	volatile __u32 cells[4] = { x, x >> 1, x >> 2, x >> 3 };

	return cells[x & 3] == 3 ? XDP_TX : XDP_PASS;
}
