// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A key where it lies in another map's value.
// verdict: refused
// rule: stack-argument
// driver: map_lookup: unsupported ptr type
#include "case.h"

MAP(table, BPF_MAP_TYPE_HASH, __u32, __u32, 16);

SEC("xdp")
int key_in_value(struct xdp_md *ctx)
{
	__u32 key = word(ctx);
	void *next = bpf_map_lookup_elem(&table, &key);

	return next && bpf_map_lookup_elem(&table, next) ? XDP_TX : XDP_PASS;
}
