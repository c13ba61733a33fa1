// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counters for each CPU.
// verdict: refused
// rule: map-type
#include "case.h"

MAP(counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 16);

SEC("xdp")
int map_type_percpu(struct xdp_md *ctx)
{
	__u32 key = 3;
	__u64 *count = bpf_map_lookup_elem(&counters, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
	return XDP_PASS;
}
