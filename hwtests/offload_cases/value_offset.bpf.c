// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A choice within a value that is made by an index.
// verdict: refused
// rule: value-offset
// driver: map value offset is variable
#include "case.h"

struct row {
	__u32 cells[8];
};

MAP(rows, BPF_MAP_TYPE_ARRAY, __u32, struct row, 16);

SEC("xdp")
int value_offset(struct xdp_md *ctx)
{
	__u32 key = 3;
	struct row *row = bpf_map_lookup_elem(&rows, &key);

	return row && row->cells[word(ctx) & 7] ? XDP_TX : XDP_PASS;
}
