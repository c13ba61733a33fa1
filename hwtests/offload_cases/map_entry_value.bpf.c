// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Four octets of key and 57 of value are 72 of the card's.
// verdict: refused
// rule: map-entry
// driver: map elements too large: 72
// log: kernel
#include "case.h"

struct value {
	__u8 octets[57];
};

MAP(table, BPF_MAP_TYPE_HASH, __u32, struct value, 16);

SEC("xdp")
int map_entry_value(struct xdp_md *ctx)
{
	__u32 key = word(ctx);

	return bpf_map_lookup_elem(&table, &key) ? XDP_TX : XDP_PASS;
}
