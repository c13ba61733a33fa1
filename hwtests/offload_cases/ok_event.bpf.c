// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An event to user space, to the ring of whatever CPU hears of it.
// verdict: accepted
// words: 57
#include "case.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

SEC("xdp")
int ok_event(struct xdp_md *ctx)
{
	__u64 seen = word(ctx);

	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &seen, sizeof(seen));
	return XDP_PASS;
}
