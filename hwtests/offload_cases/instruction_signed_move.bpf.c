// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A move of -mcpu=v4 that extends the sign.
// verdict: refused
// rule: instruction
// driver: BPF_MOV uses reserved fields
#include "case.h"

SEC("xdp")
int instruction_signed_move(struct xdp_md *ctx)
{
	register __u64 x asm("r2") = word(ctx);

	asm volatile(RAW(0xbf, 2, 2, 8, 0) : "+r"(x));
	return x > 5 ? XDP_TX : XDP_PASS;
}
