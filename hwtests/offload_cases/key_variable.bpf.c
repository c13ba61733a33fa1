// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A key that is one of four, chosen by an index.
// verdict: refused
// rule: stack-argument
// driver: map_lookup: variable pointer
#include "case.h"

MAP(table, BPF_MAP_TYPE_HASH, __u32, __u32, 16);

SEC("xdp")
int key_variable(struct xdp_md *ctx)
{
	__u32 x = word(ctx);
	__u32 keys[4] = { x, x >> 1, x >> 2, x >> 3 };

	return bpf_map_lookup_elem(&table, &keys[x & 3]) ? XDP_TX : XDP_PASS;
}
