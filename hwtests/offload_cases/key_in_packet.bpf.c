// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A key where it lies in the packet.
// verdict: refused
// rule: stack-argument
// driver: map_lookup: unsupported ptr type
#include "case.h"

MAP(table, BPF_MAP_TYPE_HASH, __u32, __u32, 16);

SEC("xdp")
int key_in_packet(struct xdp_md *ctx)
{
	void *key = packet(ctx, 64);

	return key && bpf_map_lookup_elem(&table, key) ? XDP_TX : XDP_PASS;
}
