// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What lies before the packet.
// verdict: refused
// rule: context-load
// driver: Translation failed with error -95
// log: kernel
#include "case.h"

SEC("xdp")
int context_meta(struct xdp_md *ctx)
{
	void *meta = (void *)(long)ctx->data_meta;
	void *data = (void *)(long)ctx->data;

	return meta + 4 > data ? XDP_TX : XDP_PASS;
}
