/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What stands at the two ends of a veth pair beside the balancer: the sink that frames come back to, and
 * the least that a program in the balancer's place can do with them.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

#define OUTER 20 /* an IPv4 header without options */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} met_map SEC(".maps");

struct sum {
	__u64 packets, octets;
};

/* Of bench_count, as a balancer has it: for each CPU packets and octets. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct sum);
	__uint(max_entries, 1);
} sum_map SEC(".maps");

/* Where the frames end: behind the balancer, or in its place. */
SEC("xdp")
int bench_sink(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *met = bpf_map_lookup_elem(&met_map, &key);

	(void)ctx;
	if (met)
		++*met;
	return XDP_DROP;
}

/* False: there is no whole header. */
static __always_inline int swap(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u16 *mac = (void *)data, half;

	if (data + ETH_HLEN > end)
		return 0;
#pragma clang loop unroll(full)
	for (int i = 0; i < 3; i++) {
		half = mac[i];
		mac[i] = mac[i + 3];
		mac[i + 3] = half;
	}
	return 1;
}

SEC("xdp")
int bench_swap(struct xdp_md *ctx)
{
	return swap(ctx) ? XDP_TX : XDP_ABORTED;
}

SEC("xdp")
int bench_count(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct sum *sum = bpf_map_lookup_elem(&sum_map, &key);

	if (!sum || !swap(ctx))
		return XDP_ABORTED;
	sum->packets++;
	sum->octets += (long)ctx->data_end - (long)ctx->data;
	return XDP_TX;
}

/* From 10.0.0.1 to 10.1.0.1 around a packet of 114 octets, whatever it is: its checksum is known, too. */
static const __u16 outer[OUTER / 2] = {
	__builtin_bswap16(0x4500), __builtin_bswap16(0x0086), 0,
	__builtin_bswap16(0x4000), __builtin_bswap16(0x4004), __builtin_bswap16(0x2672),
	__builtin_bswap16(0x0a00), __builtin_bswap16(0x0001), __builtin_bswap16(0x0a01),
	__builtin_bswap16(0x0001),
};

SEC("xdp")
int bench_wrap(struct xdp_md *ctx)
{
	__u16 *to, *from;

	if (bpf_xdp_adjust_head(ctx, -OUTER))
		return XDP_ABORTED;
	to = (void *)(long)ctx->data;
	from = to + OUTER / 2;
	if ((void *)(from + ETH_HLEN / 2) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
#pragma clang loop unroll(full)
	for (int i = 0; i < 3; i++) {
		to[i] = from[i + 3];
		to[i + 3] = from[i];
	}
	to[6] = from[6];
#pragma clang loop unroll(full)
	for (int i = 0; i < OUTER / 2; i++)
		to[ETH_HLEN / 2 + i] = outer[i];
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
