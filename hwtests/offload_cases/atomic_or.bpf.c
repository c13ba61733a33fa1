// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An atomic operation that is no addition.
// verdict: refused
// rule: atomic-operation
// driver: atomic op not implemented: 64
#include "case.h"

MAP(table, BPF_MAP_TYPE_ARRAY, __u32, __u64, 16);

SEC("xdp")
int atomic_or(struct xdp_md *ctx)
{
	__u32 key = 3;
	register __u64 *value asm("r0") = bpf_map_lookup_elem(&table, &key);
	register __u64 bits asm("r1") = 6;

	if (value)
		asm volatile(RAW(0xdb, 0, 1, 0, 0x40) : : "r"(value), "r"(bits) : "memory");
	return XDP_PASS;
}
