// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The time.
// verdict: refused
// rule: helper
// driver: unsupported function id: 5
#include "case.h"

SEC("xdp")
int helper_time(struct xdp_md *ctx)
{
	return bpf_ktime_get_ns() & 1 ? XDP_TX : XDP_PASS;
}
