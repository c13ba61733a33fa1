// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The remainder instruction, which clang 14 does not write.
// verdict: refused
// rule: instruction
// driver: instruction 0x97 not supported
#include "case.h"

SEC("xdp")
int instruction_remainder(struct xdp_md *ctx)
{
	register __u64 x asm("r2") = word(ctx);

	asm volatile(RAW(0x97, 2, 0, 0, 10) : "+r"(x));
	return x > 5 ? XDP_TX : XDP_PASS;
}
