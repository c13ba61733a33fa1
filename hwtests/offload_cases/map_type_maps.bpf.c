// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A map in a map.
// verdict: refused
// rule: map-type
#include "case.h"

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 4);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 2);
	__array(values, struct inner);
} outer SEC(".maps");

SEC("xdp")
int map_type_maps(struct xdp_md *ctx)
{
	__u32 key = 0;
	void *inside = bpf_map_lookup_elem(&outer, &key);

	return inside && bpf_map_lookup_elem(inside, &key) ? XDP_TX : XDP_PASS;
}
