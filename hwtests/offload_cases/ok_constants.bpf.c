// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Constants that fit a word of microcode, that need two, and that cost none.
// verdict: accepted
// words: 85
#include "case.h"

SEC("xdp")
int ok_constants(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	__u64 r;

	if (!wide)
		return XDP_PASS;
	r = wide[0];
	r += 0x12345;
	r &= 0xff00ff;
	r ^= 0x7fffffff;
	r |= 0x10000;
	if (r == 0x12345678)
		r = 1;
	if (r != 0x1234567)
		r += 3;
	if ((__s64)wide[1] > -70000)
		r += 2;
	if (wide[2] >= 0x123456789aULL)
		r += 1;
	r += wide[3] == 0xffff0000ffff0000ULL;
	return r & 1 ? XDP_TX : XDP_PASS;
}
