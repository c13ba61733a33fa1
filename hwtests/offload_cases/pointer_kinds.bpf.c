// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One load, of the packet on one path and of the stack on the other.
// verdict: refused
// rule: pointer-kinds
// driver: ptr type changed for instruction
#include "case.h"

SEC("xdp")
int pointer_kinds(struct xdp_md *ctx)
{
	__u32 own = 3;
	__u32 *where = packet(ctx, 64);

	HIDE(where);
	if (!where)
		where = &own;
	HIDE(where);
	return *where & 2 ? XDP_TX : XDP_PASS;
}
