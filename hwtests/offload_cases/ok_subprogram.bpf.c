// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A function that saves registers, called twice, with a pointer into its caller's frame.
// verdict: accepted
// words: 137
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u32, 8);

static __noinline __u32 fetch(const __u32 *where, __u32 add)
{
	__u32 key = (*where + add) & 7;
	__u32 *found = bpf_map_lookup_elem(&table, &key);

	return found ? *found + add : 0;
}

SEC("xdp")
int ok_subprogram(struct xdp_md *ctx)
{
	__u32 first = word(ctx);

	return fetch(&first, 1) > fetch(&first, 2) ? XDP_TX : XDP_PASS;
}
