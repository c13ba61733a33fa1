// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A table that forgets.
// verdict: refused
// rule: map-type
#include "case.h"

MAP(table, BPF_MAP_TYPE_LRU_HASH, __u32, __u32, 16);

SEC("xdp")
int map_type_lru(struct xdp_md *ctx)
{
	__u32 key = word(ctx);

	return bpf_map_lookup_elem(&table, &key) ? XDP_TX : XDP_PASS;
}
