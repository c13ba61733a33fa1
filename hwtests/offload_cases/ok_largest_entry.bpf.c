// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Key and value together exactly 64 octets.
// verdict: accepted
// words: 67
#include "case.h"

struct value {
	__u32 words[14];
};

MAP(table, BPF_MAP_TYPE_HASH, __u64, struct value, 1024);

SEC("xdp")
int ok_largest_entry(struct xdp_md *ctx)
{
	__u64 key = word(ctx);
	struct value *value = bpf_map_lookup_elem(&table, &key);

	return value && value->words[13] ? XDP_TX : XDP_PASS;
}
