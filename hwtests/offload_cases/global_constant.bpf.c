// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A knob that user space sets before it loads the program.
// verdict: refused
// rule: global-data
// driver: map flags are not supported
// log: kernel
#include "case.h"

const volatile __u32 knob = 1;

SEC("xdp")
int global_constant(struct xdp_md *ctx)
{
	return word(ctx) > knob ? XDP_TX : XDP_PASS;
}
