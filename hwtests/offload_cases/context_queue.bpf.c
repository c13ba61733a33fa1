// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The queue that the packet came in by.
// verdict: refused
// rule: context-load
// driver: Translation failed with error -95
// log: kernel
#include "case.h"

SEC("xdp")
int context_queue(struct xdp_md *ctx)
{
	return ctx->rx_queue_index == 3 ? XDP_TX : XDP_PASS;
}
