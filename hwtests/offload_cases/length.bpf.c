// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// More words of microcode than the card has for a program.
// verdict: refused
// rule: length
// driver: instruction limit reached (2560 NFP instructions)
// log: kernel
#include "case.h"

SEC("xdp")
int length(struct xdp_md *ctx)
{
	__u32 h = word(ctx);
	int i;

#pragma unroll
	for (i = 0; i < 300; i++) {
		h ^= h << 13;
		h ^= h >> 17;
		h ^= h << 5;
	}
	return h & 1 ? XDP_TX : XDP_PASS;
}
