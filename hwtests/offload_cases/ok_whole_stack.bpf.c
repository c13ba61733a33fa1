// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// All of the 512 octets in one frame.
// verdict: accepted
// words: 50
#include "case.h"

SEC("xdp")
int ok_whole_stack(struct xdp_md *ctx)
{
	__u64 x = word(ctx);

	asm volatile("*(u64 *)(r10 - 512) = %0" : : "r"(x) : "memory");
	asm volatile("%0 = *(u64 *)(r10 - 512)" : "=r"(x) : : "memory");
	return x ? XDP_TX : XDP_PASS;
}
