// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A function that fills its caller's key.
// verdict: accepted
// words: 100
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

static __noinline int put(__u32 *where, __u32 x)
{
	*where = x;
	return x & 3;
}

SEC("xdp")
int ok_store_to_caller(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	const __u32 *half = (const void *)wide;
	__u32 key = 1;
	__u64 *value;
	__u64 r;

	if (!wide)
		return XDP_PASS;
	r = put(&key, half[0]);
	value = bpf_map_lookup_elem(&table, &key);
	if (value)
		r += *value;
	return r & 1 ? XDP_TX : XDP_PASS;
}
