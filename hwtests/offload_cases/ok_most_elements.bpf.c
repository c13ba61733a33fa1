// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// As many elements as the firmware has, in two maps.
// verdict: accepted
// words: 86
#include "case.h"

MAP(most, BPF_MAP_TYPE_HASH, __u32, __u32, 3000000);
MAP(rest, BPF_MAP_TYPE_ARRAY, __u32, __u32, 72000);

SEC("xdp")
int ok_most_elements(struct xdp_md *ctx)
{
	__u32 key = word(ctx);
	__u32 *found = bpf_map_lookup_elem(&most, &key);

	if (!found)
		found = bpf_map_lookup_elem(&rest, &key);
	return found && *found ? XDP_TX : XDP_PASS;
}
