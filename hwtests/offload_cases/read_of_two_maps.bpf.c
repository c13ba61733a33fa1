// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One load, from the values of two maps, in one of which the word is a counter.
// verdict: refused
// rule: read-and-counted
// driver: map value use type conflict
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);
MAP(other, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

SEC("xdp")
int read_of_two_maps(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	const __u32 *half = (const void *)wide;
	__u32 key = 1;
	__u64 *value;

	if (!wide)
		return XDP_PASS;
	value = bpf_map_lookup_elem(&table, &key);
	if (value)
		__sync_fetch_and_add(value, 1);
	value = half[0] & 1 ? bpf_map_lookup_elem(&table, &key) : bpf_map_lookup_elem(&other, &key);
	return value && *value & 1 ? XDP_TX : XDP_PASS;
}
