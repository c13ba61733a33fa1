// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A function that looks up by a key of its caller.
// verdict: accepted
// words: 132
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

static __noinline __u64 find(const __u32 *key, __u32 x)
{
	__u64 own[2] = { x, 0 };
	__u64 *value;

	HIDE(own[0]);
	value = bpf_map_lookup_elem(&table, key);
	return value ? *value + own[0] : 0;
}

SEC("xdp")
int ok_key_of_caller(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	__u32 key = 1;
	__u64 r;

	if (!wide)
		return XDP_PASS;
	r = find(&key, 3) + find(&key, 4);
	return r & 1 ? XDP_TX : XDP_PASS;
}
