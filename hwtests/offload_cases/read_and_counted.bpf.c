// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A counter that the program reads.
// verdict: refused
// rule: read-and-counted
// driver: map value use type conflict
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

SEC("xdp")
int read_and_counted(struct xdp_md *ctx)
{
	__u32 key = 3;
	volatile __u64 *value = bpf_map_lookup_elem(&table, &key);

	if (!value)
		return XDP_PASS;
	__sync_fetch_and_add(value, 1);
	return *value > 100 ? XDP_TX : XDP_PASS;
}
