// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A return code that comes out of the packet.
// verdict: accepted
// words: 41
// rule: return-code
#include "case.h"

SEC("xdp")
int return_unknown(struct xdp_md *ctx)
{
	return word(ctx) & 7;
}
