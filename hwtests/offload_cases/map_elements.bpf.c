// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One element more than the firmware has for all maps.
// verdict: refused
// rule: map-elements
// driver: map with too many elements: 72001, left: 72000
// log: kernel
#include "case.h"

MAP(most, BPF_MAP_TYPE_HASH, __u32, __u32, 3000000);
MAP(rest, BPF_MAP_TYPE_ARRAY, __u32, __u32, 72001);

SEC("xdp")
int map_elements(struct xdp_md *ctx)
{
	__u32 key = word(ctx);

	if (bpf_map_lookup_elem(&most, &key))
		return XDP_TX;
	return bpf_map_lookup_elem(&rest, &key) ? XDP_TX : XDP_PASS;
}
