// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A store of a constant to a map's value.
// verdict: refused
// rule: store-immediate
// driver: Translation failed with error -95
// log: kernel
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

SEC("xdp")
int immediate_to_value(struct xdp_md *ctx)
{
	__u32 key = 3;
	register __u64 *value asm("r0") = bpf_map_lookup_elem(&table, &key);

	if (!value)
		return XDP_PASS;
	asm volatile(RAW(0x7a, 0, 0, 0, 7) : "+r"(value) : : "memory");
	return XDP_TX;
}
