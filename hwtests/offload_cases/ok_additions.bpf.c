// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Additions of what may fit 16 bits, of what does, and of what does not.
// verdict: accepted
// words: 107
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);
MAP(other, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

SEC("xdp")
int ok_additions(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	const __u32 *half = (const void *)wide;
	__u32 key = 1;
	__u64 *value;
	__u32 *cell;

	if (!wide)
		return XDP_PASS;
	value = bpf_map_lookup_elem(&table, &key);
	if (value)
		__sync_fetch_and_add(value, half[0]);
	cell = bpf_map_lookup_elem(&other, &key);
	if (cell) {
		__sync_fetch_and_add(cell + 1, (__u16)half[1]);
		__sync_fetch_and_add(cell, 70000);
	}
	return XDP_PASS;
}
