/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Somebody else's program in libxdp's dispatcher: counts what it sees, and passes it. Whoever includes
 * this says what it is called (BESIDE) and at which priority it runs (PLACE).
 */
#ifndef VM_BESIDE_H
#define VM_BESIDE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} seen SEC(".maps");

struct {
	__uint(priority, PLACE);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(BESIDE);

SEC("xdp")
int BESIDE(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&seen, &key);

	(void)ctx;
	if (count)
		__sync_fetch_and_add(count, 1);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";

#endif
