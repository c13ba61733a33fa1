// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A store of a constant to the stack, as -mcpu=v4 writes them.
// verdict: refused
// rule: store-immediate
// driver: Translation failed with error -95
// log: kernel
#include "case.h"

SEC("xdp")
int immediate_to_stack(struct xdp_md *ctx)
{
	__u32 x;

	asm volatile(RAW(0x62, 10, 0, -4, 7) : : : "memory");
	asm volatile("%0 = *(u32 *)(r10 - 4)" : "=r"(x) : : "memory");
	return x > word(ctx) ? XDP_TX : XDP_PASS;
}
