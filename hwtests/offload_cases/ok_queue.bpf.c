// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The choice of the host's queue, the one field of the context that may be written.
// verdict: accepted
// words: 47
#include "case.h"

SEC("xdp")
int ok_queue(struct xdp_md *ctx)
{
	ctx->rx_queue_index = word(ctx) & 7;
	return XDP_PASS;
}
