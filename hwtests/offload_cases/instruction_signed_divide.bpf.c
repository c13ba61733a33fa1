// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A signed division of -mcpu=v4. Linux 6.1 knows none of these and says so itself.
// verdict: refused
// rule: instruction
// driver: BPF_ALU uses reserved fields
#include "case.h"

SEC("xdp")
int instruction_signed_divide(struct xdp_md *ctx)
{
	register __u64 x asm("r2") = word(ctx);

	asm volatile(RAW(0x37, 2, 0, 1, 10) : "+r"(x));
	return x > 5 ? XDP_TX : XDP_PASS;
}
