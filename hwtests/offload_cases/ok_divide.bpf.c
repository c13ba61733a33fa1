// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Of 32 bits by a constant; and a remainder, which clang makes of it.
// verdict: accepted
// words: 79
#include "case.h"

SEC("xdp")
int ok_divide(struct xdp_md *ctx)
{
	__u32 x = word(ctx);

	return x / 10 + x % 1000 > 17 ? XDP_TX : XDP_PASS;
}
