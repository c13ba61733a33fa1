// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A store of a constant to the packet.
// verdict: refused
// rule: store-immediate
// driver: Translation failed with error -95
// log: kernel
#include "case.h"

SEC("xdp")
int immediate_to_packet(struct xdp_md *ctx)
{
	register void *to asm("r2") = packet(ctx, 14);

	if (!to)
		return XDP_PASS;
	asm volatile(RAW(0x72, 2, 0, 0, 7) : "+r"(to) : : "memory");
	return XDP_TX;
}
