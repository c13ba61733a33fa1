// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The card can only make packets shorter: the call fails for each of them.
// verdict: accepted
// words: 45
// rule: tail-grows
#include "case.h"

SEC("xdp")
int tail_grows(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_tail(ctx, 16) ? XDP_PASS : XDP_TX;
}
