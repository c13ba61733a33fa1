// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A global function's pointer argument, of which the verifier knows no more than its size.
// verdict: refused
// rule: pointer-kind
// driver: unsupported ptr type
#include "case.h"

struct pair {
	__u32 one;
	__u32 two;
};

__noinline int sum(const struct pair *pair)
{
	return pair ? pair->one + pair->two : 0;
}

SEC("xdp")
int pointer_memory(struct xdp_md *ctx)
{
	struct pair pair = { .one = word(ctx), .two = 2 };

	return sum(&pair) & 1 ? XDP_TX : XDP_PASS;
}
