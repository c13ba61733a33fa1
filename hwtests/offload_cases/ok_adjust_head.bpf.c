// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Room for an outer header: one call, by a constant.
// verdict: accepted
// words: 54
#include "case.h"

SEC("xdp")
int ok_adjust_head(struct xdp_md *ctx)
{
	__u32 *first;

	if (bpf_xdp_adjust_head(ctx, -20))
		return XDP_PASS;
	first = packet(ctx, 34);
	if (!first)
		return XDP_PASS;
	*first = 0;
	return XDP_TX;
}
