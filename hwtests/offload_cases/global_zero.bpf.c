// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A variable without one, which lands in .bss.
// verdict: refused
// rule: global-data
// driver: map flags are not supported
// log: kernel
#include "case.h"

volatile __u32 seen;

SEC("xdp")
int global_zero(struct xdp_md *ctx)
{
	return word(ctx) > seen ? XDP_TX : XDP_PASS;
}
