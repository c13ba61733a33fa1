// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One load, of a map's value or of the packet.
// verdict: refused
// rule: pointer-kinds
// driver: ptr type changed for instruction
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

SEC("xdp")
int pointer_kinds_value(struct xdp_md *ctx)
{
	const __u64 *wide = packet(ctx, 128);
	const __u32 *half = (const void *)wide;
	const __u64 *value;
	__u32 key = 1;

	if (!wide)
		return XDP_PASS;
	value = bpf_map_lookup_elem(&table, &key);
	if (half[0] & 1)
		value = wide;
	HIDE(value);
	return value && *value & 1 ? XDP_TX : XDP_PASS;
}
