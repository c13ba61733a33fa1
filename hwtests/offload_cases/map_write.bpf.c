// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A store into a map's value.
// verdict: refused
// rule: map-write
// driver: map writes not supported
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u32, 16);

SEC("xdp")
int map_write(struct xdp_md *ctx)
{
	__u32 key = 3;
	__u32 *value = bpf_map_lookup_elem(&table, &key);

	if (value)
		*value = word(ctx);
	return XDP_PASS;
}
