// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Packets in several buffers: a flag of the program.
// verdict: refused
// rule: section
#include "case.h"

SEC("xdp.frags")
int section_frags(struct xdp_md *ctx)
{
	return XDP_PASS;
}
