// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A key copied from the packet to the stack, a counter of eight octets and one of four.
// verdict: accepted
// words: 83
#include "case.h"

struct count {
	__u64 octets;
	__u32 packets;
	__u32 unused;
};

MAP(table, BPF_MAP_TYPE_HASH, __u64, __u32, 65536);
MAP(counters, BPF_MAP_TYPE_ARRAY, __u32, struct count, 16);

SEC("xdp")
int ok_hash_and_counter(struct xdp_md *ctx)
{
	const __u64 *first = packet(ctx, 64);
	struct count *count;
	__u32 *index;
	__u64 key;

	if (!first)
		return XDP_PASS;
	key = *first;
	index = bpf_map_lookup_elem(&table, &key);
	if (!index)
		return XDP_PASS;
	key = *index & 15;
	count = bpf_map_lookup_elem(&counters, &key);
	if (!count)
		return XDP_PASS;
	__sync_fetch_and_add(&count->octets, 64);
	__sync_fetch_and_add(&count->packets, 1);
	return XDP_PASS;
}
