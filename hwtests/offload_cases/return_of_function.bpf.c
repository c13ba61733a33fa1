// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The return code of a function that is checked by itself: of that, nothing is known.
// verdict: accepted
// words: 50
// rule: return-code
#include "case.h"

__noinline int code(int x)
{
	return x & 3;
}

SEC("xdp")
int return_of_function(struct xdp_md *ctx)
{
	return code(word(ctx));
}
