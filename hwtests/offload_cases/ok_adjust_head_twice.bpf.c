// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Two calls, each of them checked by the card.
// verdict: accepted
// words: 68
#include "case.h"

SEC("xdp")
int ok_adjust_head_twice(struct xdp_md *ctx)
{
	if (word(ctx) & 1)
		return bpf_xdp_adjust_head(ctx, -20) ? XDP_DROP : XDP_TX;
	return bpf_xdp_adjust_head(ctx, 20) ? XDP_DROP : XDP_TX;
}
