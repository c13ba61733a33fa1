// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Room before the packet.
// verdict: refused
// rule: helper
// driver: unsupported function id: 54
#include "case.h"

SEC("xdp")
int helper_meta(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_meta(ctx, -4) ? XDP_DROP : XDP_PASS;
}
