// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A jump of -mcpu=v4 whose distance has 32 bits.
// verdict: refused
// rule: instruction
// driver: unreachable insn
#include "case.h"

SEC("xdp")
int instruction_long_jump(struct xdp_md *ctx)
{
	__u32 x = word(ctx);

	asm volatile(RAW(0x06, 0, 0, 0, 1) "%0 = 1\n" : "+r"(x));
	return x > 5 ? XDP_TX : XDP_PASS;
}
