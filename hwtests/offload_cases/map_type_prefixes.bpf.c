// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Prefixes.
// verdict: refused
// rule: map-type
#include "case.h"

struct prefix {
	__u32 length;
	__u32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix);
	__type(value, __u32);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} prefixes SEC(".maps");

SEC("xdp")
int map_type_prefixes(struct xdp_md *ctx)
{
	struct prefix key = { .length = 32, .address = word(ctx) };

	return bpf_map_lookup_elem(&prefixes, &key) ? XDP_TX : XDP_PASS;
}
