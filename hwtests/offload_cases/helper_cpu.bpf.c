// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The number of the CPU.
// verdict: refused
// rule: helper
// driver: unsupported function id: 8
#include "case.h"

SEC("xdp")
int helper_cpu(struct xdp_md *ctx)
{
	return bpf_get_smp_processor_id() & 1 ? XDP_TX : XDP_PASS;
}
