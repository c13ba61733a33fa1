// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A counter of eight octets, of which another place of the program reads the last two.
// verdict: refused
// rule: read-and-counted
// driver: map value use type conflict
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

SEC("xdp")
int read_beside_counter(struct xdp_md *ctx)
{
	__u32 key = 3;
	__u64 *value = bpf_map_lookup_elem(&table, &key);

	if (!value)
		return XDP_PASS;
	if (word(ctx) & 1)
		__sync_fetch_and_add(value, 1);
	else if (((volatile __u16 *)value)[3])
		return XDP_TX;
	return XDP_PASS;
}
