// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Keys that begin at any multiple of four.
// verdict: accepted
// words: 92
#include "case.h"

struct keys {
	__u32 first;
	__u32 second;
	__u32 third;
};

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u32, 8);

SEC("xdp")
int ok_key_at_an_offset(struct xdp_md *ctx)
{
	struct keys keys = { .first = 1, .second = word(ctx), .third = 2 };
	__u32 *one = bpf_map_lookup_elem(&table, &keys.second);
	__u32 *two = bpf_map_lookup_elem(&table, &keys.third);

	return one && two && *one > *two ? XDP_TX : XDP_PASS;
}
