// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A counter within a value that is chosen by an index.
// verdict: refused
// rule: value-offset
// driver: map value offset is variable
#include "case.h"

struct row {
	__u64 counts[4];
};

MAP(rows, BPF_MAP_TYPE_ARRAY, __u32, struct row, 16);

SEC("xdp")
int counter_offset(struct xdp_md *ctx)
{
	__u32 key = 3;
	struct row *row = bpf_map_lookup_elem(&rows, &key);

	if (row)
		__sync_fetch_and_add(&row->counts[word(ctx) & 3], 1);
	return XDP_PASS;
}
