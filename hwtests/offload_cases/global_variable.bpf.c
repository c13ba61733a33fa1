// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A variable with a value.
// verdict: refused
// rule: global-data
// driver: map flags are not supported
// log: kernel
#include "case.h"

volatile __u32 seen = 1;

SEC("xdp")
int global_variable(struct xdp_md *ctx)
{
	return word(ctx) > seen ? XDP_TX : XDP_PASS;
}
