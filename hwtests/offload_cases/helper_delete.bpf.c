// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An entry that the program removes.
// verdict: refused
// rule: helper
// driver: map_delete: not supported by FW
#include "case.h"

MAP(table, BPF_MAP_TYPE_HASH, __u32, __u32, 16);

SEC("xdp")
int helper_delete(struct xdp_md *ctx)
{
	__u32 key = word(ctx);

	return bpf_map_delete_elem(&table, &key) ? XDP_DROP : XDP_PASS;
}
