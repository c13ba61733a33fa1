// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A key at an odd place of the stack.
// verdict: refused
// rule: stack-argument
// driver: map_lookup: unaligned stack pointer
#include "case.h"

MAP(table, BPF_MAP_TYPE_HASH, __u32, __u32, 16);

SEC("xdp")
int key_unaligned(struct xdp_md *ctx)
{
	__u64 keys[2] = { word(ctx), 1 };

	return bpf_map_lookup_elem(&table, (__u8 *)keys + 2) ? XDP_TX : XDP_PASS;
}
