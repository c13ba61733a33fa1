// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A table that allocates as it fills.
// verdict: refused
// rule: map-flags
// driver: map flags are not supported
// log: kernel
#include "case.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} table SEC(".maps");

SEC("xdp")
int map_flags_hash(struct xdp_md *ctx)
{
	__u32 key = word(ctx);

	return bpf_map_lookup_elem(&table, &key) ? XDP_TX : XDP_PASS;
}
