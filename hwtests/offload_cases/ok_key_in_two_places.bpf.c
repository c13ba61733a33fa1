// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One call, whose key lies at another offset on each path.
// verdict: accepted
// words: 87
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u32, 8);

SEC("xdp")
int ok_key_in_two_places(struct xdp_md *ctx)
{
	__u32 x = word(ctx);
	__u32 keys[4] = { x, x >> 1, x >> 2, x >> 3 };
	const __u32 *key = &keys[0];
	__u32 *found;

	if (x & 1)
		key = &keys[3];
	HIDE(key);
	found = bpf_map_lookup_elem(&table, key);
	return found && *found ? XDP_TX : XDP_PASS;
}
