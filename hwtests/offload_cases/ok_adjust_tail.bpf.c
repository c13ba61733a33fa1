// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A packet made shorter.
// verdict: accepted
// words: 45
#include "case.h"

SEC("xdp")
int ok_adjust_tail(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_tail(ctx, -16) ? XDP_PASS : XDP_TX;
}
