// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The card knows four return codes; it takes the program, and drops what it redirects.
// verdict: accepted
// words: 46
// rule: return-code
#include "case.h"

SEC("xdp")
int return_redirect(struct xdp_md *ctx)
{
	return word(ctx) & 1 ? XDP_REDIRECT : XDP_PASS;
}
