// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An addition whose result the program uses.
// verdict: refused
// rule: atomic-operation
// driver: atomic op not implemented: 1
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

SEC("xdp")
int atomic_fetch(struct xdp_md *ctx)
{
	__u32 key = 3;
	__u64 *value = bpf_map_lookup_elem(&table, &key);

	return value && __sync_fetch_and_add(value, 1) > 100 ? XDP_TX : XDP_PASS;
}
