// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A comparison and exchange.
// verdict: refused
// rule: atomic-operation
// driver: atomic op not implemented: 241
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

SEC("xdp")
int atomic_exchange(struct xdp_md *ctx)
{
	__u32 key = 3;
	__u64 *value = bpf_map_lookup_elem(&table, &key);

	return value && __sync_val_compare_and_swap(value, 0, 1) ? XDP_TX : XDP_PASS;
}
