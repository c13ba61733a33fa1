// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An event whose octets lie at an odd place of the stack.
// verdict: refused
// rule: stack-argument
// driver: event_output: unaligned stack pointer
#include "case.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

SEC("xdp")
int event_pointer(struct xdp_md *ctx)
{
	__u64 seen[2] = { word(ctx), 0 };

	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, (__u8 *)seen + 1, 8);
	return XDP_PASS;
}
