// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs to go on with.
// verdict: refused
// rule: map-type helper
#include "case.h"

MAP(programs, BPF_MAP_TYPE_PROG_ARRAY, __u32, __u32, 16);

SEC("xdp")
int map_type_programs(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &programs, 1);
	return XDP_PASS;
}
