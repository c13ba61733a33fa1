// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Data and counters in one value, in words of their own.
// verdict: accepted
// words: 82
#include "case.h"

struct entry {
	__u32 limit;
	__u32 packets;
	__u64 octets;
};

MAP(entries, BPF_MAP_TYPE_ARRAY, __u32, struct entry, 4);

SEC("xdp")
int ok_words_apart(struct xdp_md *ctx)
{
	struct entry *entry;
	__u32 key = 1;

	entry = bpf_map_lookup_elem(&entries, &key);
	if (!entry || entry->limit > word(ctx))
		return XDP_PASS;
	__sync_fetch_and_add(&entry->packets, 1);
	__sync_fetch_and_add(&entry->octets, 1500);
	return XDP_TX;
}
