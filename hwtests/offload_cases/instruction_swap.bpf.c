// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A swap of -mcpu=v4 that needs no order.
// verdict: refused
// rule: instruction
// driver: unknown opcode d7
#include "case.h"

SEC("xdp")
int instruction_swap(struct xdp_md *ctx)
{
	register __u64 x asm("r2") = word(ctx);

	asm volatile(RAW(0xd7, 2, 0, 0, 16) : "+r"(x));
	return x > 5 ? XDP_TX : XDP_PASS;
}
