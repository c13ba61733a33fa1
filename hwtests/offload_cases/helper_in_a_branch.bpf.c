// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One path of many calls it, in a function of its own.
// verdict: refused
// rule: helper
// driver: unsupported function id: 125
#include "case.h"

static __noinline __u64 now(__u64 x)
{
	return bpf_ktime_get_boot_ns() + x;
}

SEC("xdp")
int helper_in_a_branch(struct xdp_md *ctx)
{
	__u32 x = word(ctx);

	if (x == 17)
		return now(x) & 1 ? XDP_TX : XDP_PASS;
	return XDP_PASS;
}
