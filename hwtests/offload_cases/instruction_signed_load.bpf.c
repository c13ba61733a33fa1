// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A load of -mcpu=v4 that extends the sign.
// verdict: refused
// rule: instruction
// driver: BPF_LDX uses reserved fields
#include "case.h"

SEC("xdp")
int instruction_signed_load(struct xdp_md *ctx)
{
	register void *from asm("r2") = packet(ctx, 14);
	register __s64 x asm("r3") = 0;

	if (!from)
		return XDP_PASS;
	asm volatile(RAW(0x91, 3, 2, 0, 0) : "+r"(x) : "r"(from));
	return x > 5 ? XDP_TX : XDP_PASS;
}
