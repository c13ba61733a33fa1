// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The interface that the packet came in by.
// verdict: refused
// rule: context-load
// driver: Translation failed with error -95
// log: kernel
#include "case.h"

SEC("xdp")
int context_interface(struct xdp_md *ctx)
{
	return ctx->ingress_ifindex == 3 ? XDP_TX : XDP_PASS;
}
