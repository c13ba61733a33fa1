// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Copies within the packet and from a map's value to it.
// verdict: accepted
// words: 87
#include "case.h"

struct header {
	__u32 words[10];
};

MAP(headers, BPF_MAP_TYPE_ARRAY, __u32, struct header, 8);

SEC("xdp")
int ok_copy(struct xdp_md *ctx)
{
	struct header *from;
	__u32 key = 0;
	volatile __u32 *to;
	int i;

	from = bpf_map_lookup_elem(&headers, &key);
	to = packet(ctx, 128);
	if (!from || !to)
		return XDP_PASS;
#pragma unroll
	for (i = 0; i < 10; i++)
		to[16 + i] = ((volatile struct header *)from)->words[i];
	to[0] = to[8];
	return XDP_TX;
}
