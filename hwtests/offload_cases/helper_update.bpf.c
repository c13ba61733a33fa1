// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An entry that the program writes: the driver could, the shipped firmware cannot.
// verdict: refused
// rule: helper
// driver: map_update: not supported by FW
#include "case.h"

MAP(table, BPF_MAP_TYPE_HASH, __u32, __u32, 16);

SEC("xdp")
int helper_update(struct xdp_md *ctx)
{
	__u32 key = word(ctx), value = 1;

	return bpf_map_update_elem(&table, &key, &value, BPF_ANY) ? XDP_DROP : XDP_PASS;
}
