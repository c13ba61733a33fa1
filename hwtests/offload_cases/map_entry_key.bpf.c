// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A key of 40 octets beside a value of 32.
// verdict: refused
// rule: map-entry
// driver: map elements too large: 72
// log: kernel
#include "case.h"

struct key {
	__u64 words[5];
};

struct value {
	__u64 words[4];
};

MAP(table, BPF_MAP_TYPE_HASH, struct key, struct value, 16);

SEC("xdp")
int map_entry_key(struct xdp_md *ctx)
{
	struct key key = {};

	key.words[0] = word(ctx);
	return bpf_map_lookup_elem(&table, &key) ? XDP_TX : XDP_PASS;
}
