// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An array of constants that the program reads by an index.
// verdict: refused
// rule: global-data
// driver: map flags are not supported
// log: kernel
#include "case.h"

const __u32 primes[8] = { 2, 3, 5, 7, 11, 13, 17, 19 };

SEC("xdp")
int global_table(struct xdp_md *ctx)
{
	__u32 x = word(ctx);

	return x > primes[x & 7] ? XDP_TX : XDP_PASS;
}
