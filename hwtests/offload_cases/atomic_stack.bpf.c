// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An addition to the stack.
// verdict: refused
// rule: atomic-target
// driver: atomic add not to a map value pointer
#include "case.h"

SEC("xdp")
int atomic_stack(struct xdp_md *ctx)
{
	volatile __u64 count = word(ctx);

	__sync_fetch_and_add(&count, 1);
	return count & 1 ? XDP_TX : XDP_PASS;
}
