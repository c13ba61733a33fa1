// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The card's random numbers.
// verdict: accepted
// words: 30
#include "case.h"

SEC("xdp")
int ok_random(struct xdp_md *ctx)
{
	return bpf_get_prandom_u32() & 1 ? XDP_TX : XDP_PASS;
}
