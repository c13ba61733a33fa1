/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What stands at the two ends of a veth pair beside the balancer: the sink that frames come back to, and
 * the least that a program in the balancer's place can do with them.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} met_map SEC(".maps");

static __always_inline void count(void)
{
	__u32 key = 0;
	__u64 *met = bpf_map_lookup_elem(&met_map, &key);

	if (met)
		++*met;
}

/* Where the frames end: behind the balancer, or in its place. */
SEC("xdp")
int bench_sink(struct xdp_md *ctx)
{
	(void)ctx;
	count();
	return XDP_DROP;
}

SEC("xdp")
int bench_swap(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u16 *mac = (void *)data, half;

	if (data + ETH_HLEN > end)
		return XDP_ABORTED;
#pragma clang loop unroll(full)
	for (int i = 0; i < 3; i++) {
		half = mac[i];
		mac[i] = mac[i + 3];
		mac[i + 3] = half;
	}
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
