// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A loop that the verifier can count.
// verdict: accepted
// words: 64
#include "case.h"

SEC("xdp")
int ok_loop(struct xdp_md *ctx)
{
	const __u8 *first = packet(ctx, 64);
	__u32 sum = 0;
	int i;

	if (!first)
		return XDP_PASS;
#pragma clang loop unroll(disable)
	for (i = 0; i < 40; i++)
		sum += first[i];
	return sum & 1 ? XDP_TX : XDP_PASS;
}
