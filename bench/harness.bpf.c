/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts the frame that the last run left behind back into shape, as the next prepared packet, and hands
 * it to the program under test by a tail call: so a test run with a repeat count measures the very
 * object that is attached elsewhere, each time with a packet that it has not changed yet.
 *
 * The program under test may also be the bare one. Both ways run the same instructions here: the
 * prepared packet is fetched and written, the head adjusted, and the tail call made.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "harness.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct harness_frame);
	__uint(max_entries, 1);
} frame_map SEC(".maps");

/* One a CPU, for two may send at once. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct harness_control);
	__uint(max_entries, 1);
} control_map SEC(".maps");

/* The slot's number is a constant, so the kernel makes a plain jump of the call. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} target_map SEC(".maps");

/* The same for programs of TC. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} stack_target_map SEC(".maps");

SEC("xdp")
int bench_bare(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

SEC("tc")
int bench_stack_bare(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_UNSPEC;
}

/* Writes the next prepared packet over the last one. False: there is none, or no room. */
static __always_inline int write_next(void *data, void *end, struct harness_control *control)
{
	struct harness_frame *frame;
	__u64 *words = data;
	__u32 index;

	control->salt += control->salt_step;
	index = control->base + control->next;
	control->next = control->next + 1 < control->count ? control->next + 1 : 0;
	frame = bpf_map_lookup_elem(&frame_map, &index);
	if (!frame || (void *)(words + HARNESS_WORDS) > end)
		return 0;
#pragma clang loop unroll(full)
	for (int i = 0; i < HARNESS_WORDS; i++)
		words[i] = frame->word[i];
	words[HARNESS_SALTED] ^= control->salt & HARNESS_SALT_MASK;
	return 1;
}

/* The next prepared packet, whatever was done to the last one. False: it cannot be. */
static __always_inline int prepare(struct xdp_md *ctx, struct harness_control *control)
{
	long length = (long)ctx->data_end - (long)ctx->data;

	/* Or clang would take the one pointer off before the other, in 32 bits, which may not be. */
	asm volatile("" : "+r"(length));
	/* Called even where nothing is to be moved, so that its cost is in the bare run as well. */
	if (bpf_xdp_adjust_head(ctx, (int)(length - control->length)))
		return 0;
	return write_next((void *)(long)ctx->data, (void *)(long)ctx->data_end, control);
}

SEC("xdp")
int bench_harness(struct xdp_md *ctx)
{
	struct harness_control *control;
	__u32 key = 0;

	control = bpf_map_lookup_elem(&control_map, &key);
	if (!control || !prepare(ctx, control))
		return XDP_ABORTED;
	/*
	 * A locked operation waits until the stores above are in the cache: a packet that a card has
	 * written lies there too, while reading across two stores that are still under way would stall.
	 */
	__sync_fetch_and_add(&control->length, 0);
	bpf_tail_call(ctx, &target_map, 0);
	return XDP_ABORTED;
}

/* TC's programs leave a packet as long as it was. */
SEC("tc")
int bench_stack_harness(struct __sk_buff *skb)
{
	struct harness_control *control;
	__u32 key = 0;

	control = bpf_map_lookup_elem(&control_map, &key);
	if (!control || !write_next((void *)(long)skb->data, (void *)(long)skb->data_end, control))
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&control->length, 0);
	bpf_tail_call(skb, &stack_target_map, 0);
	return TC_ACT_SHOT;
}

/* For live frames: out of the interface that they are said to have come in by. */
SEC("xdp")
int bench_send(struct xdp_md *ctx)
{
	struct harness_control *control;
	__u32 key = 0;

	control = bpf_map_lookup_elem(&control_map, &key);
	return control && prepare(ctx, control) ? XDP_TX : XDP_ABORTED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
