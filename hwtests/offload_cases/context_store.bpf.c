// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A field of the context that is not the queue.
// verdict: refused
// rule: context-store
// driver: unsupported store to context field
#include "case.h"

SEC("xdp")
int context_store(struct xdp_md *ctx)
{
	((volatile struct xdp_md *)ctx)->ingress_ifindex = 3;
	return XDP_PASS;
}
