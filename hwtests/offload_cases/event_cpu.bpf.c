// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An event to the ring of one CPU.
// verdict: refused
// rule: event-cpu
// driver: event_output: must use BPF_F_CURRENT_CPU
#include "case.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

SEC("xdp")
int event_cpu(struct xdp_md *ctx)
{
	__u64 seen = word(ctx);

	bpf_perf_event_output(ctx, &events, 0, &seen, sizeof(seen));
	return XDP_PASS;
}
