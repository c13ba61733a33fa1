// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The cut to 16 bits that a swap to little endian is on such a host.
// verdict: refused
// rule: instruction
// driver: instruction 0xd4 not supported
#include "case.h"

SEC("xdp")
int instruction_little_endian(struct xdp_md *ctx)
{
	register __u64 x asm("r2") = word(ctx);

	asm volatile(RAW(0xd4, 2, 0, 0, 16) : "+r"(x));
	return x > 5 ? XDP_TX : XDP_PASS;
}
