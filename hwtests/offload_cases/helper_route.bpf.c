// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's routes.
// verdict: refused
// rule: helper
// driver: unsupported function id: 69
#include "case.h"

SEC("xdp")
int helper_route(struct xdp_md *ctx)
{
	struct bpf_fib_lookup route = { .ifindex = 1 };

	return bpf_fib_lookup(ctx, &route, sizeof(route), 0) ? XDP_DROP : XDP_PASS;
}
