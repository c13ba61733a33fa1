// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A function that is checked by itself, and reads the packet.
// verdict: accepted
// words: 49
#include "case.h"

__noinline int first(struct xdp_md *ctx)
{
	return word(ctx) & 1;
}

SEC("xdp")
int ok_global_function(struct xdp_md *ctx)
{
	return first(ctx) & 1 ? XDP_TX : XDP_PASS;
}
