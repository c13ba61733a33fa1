/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What reaches the host's stack: counts it, and hands what is for a VIP, so that every XDP tier has passed
 * it up, to the user-space balancer. Everything else, and all while nobody reads, goes on to whoever is next.
 */
#include <asm-generic/errno-base.h>

#include "unusual.h"

/* One ring a CPU, put there by who reads it. libbpf sets the number of entries. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} hand_map SEC(".maps");

#define LB_VLAN_TAG(skb) \
	((skb)->vlan_present ? LB_BE16((skb)->vlan_proto) << 16 | (skb)->vlan_tci : 0)

static LB_INLINE int lb_hand_over(struct __sk_buff *skb, struct lb_stack_count *count)
{
	struct lb_handed handed = {
		.length = skb->len,
		.captured = skb->len < LB_HANDED_MOST ? skb->len : LB_HANDED_MOST,
		.ifindex = skb->ifindex,
		.gso_size = skb->gso_size,
		.vlan = LB_VLAN_TAG(skb),
	};
	long error = bpf_perf_event_output(skb, &hand_map,
					   BPF_F_CURRENT_CPU | (__u64)handed.captured << 32,
					   &handed, sizeof(handed));

	if (error && error != -ENOSPC)
		return TC_ACT_UNSPEC;
	if (count && error)
		count->drops++;
	else if (count)
		count->redirects++;
	return TC_ACT_SHOT;
}

SEC("tc")
int shunt_stack(struct __sk_buff *skb)
{
	struct lb_stack_count *count;
	struct lb_pkt pkt = {};
	enum lb_step step;
	__u32 found = 0;

	step = lb_parse_skb(skb, &pkt);
	if (step != LB_NEXT && lb_is_unusual(&pkt))
		found = lb_unusual(skb, pkt.link_length);
	if (step == LB_NEXT)
		step = lb_begin(&pkt);
	if (step == LB_NEXT)
		step = lb_find_vip(&pkt);
	if (step == LB_NEXT)
		found = LB_FOUND(LB_VIP_NUMBER(pkt.vip));
	count = lb_stack_count(LB_STACK_VIP(LB_INGRESS, LB_FOUND_VIP(found)), skb->len);
	return found ? lb_hand_over(skb, count) : TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
