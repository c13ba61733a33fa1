/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts what reaches the host's stack: per VIP what the XDP tiers left to it, and the rest as one.
 * It decides nothing; every packet goes on to the next filter.
 */
#define LB_VIPS_ONLY
#define LB_MAY_PERCPU	1
#define LB_MAY_REDIRECT 0
#define LB_MAY_AES	0
#define LB_MAY_GUE	0
#define LB_MAY_TRACK	0
#include <linux/pkt_cls.h>

#include "lb/parse.h"
#include "lb/vip.h"

/* Key 0: for none of the VIPs. Key N: for VIP number N. */
LB_MAP(stats, BPF_MAP_TYPE_PERCPU_ARRAY, struct lb_count, 1);

#define LB_HEADERS (LB_ETH_LENGTH + 8 + LB_MAX_IP_HEADERS + LB_UDP_LENGTH)

/* The headers may lie in the skb's pages, where no direct read reaches. */
static LB_INLINE void lb_pull_headers(struct __sk_buff *skb)
{
	__u32 linear = skb->data_end - skb->data;

	if (linear < LB_HEADERS && linear < skb->len)
		bpf_skb_pull_data(skb, skb->len < LB_HEADERS ? skb->len : LB_HEADERS);
}

/*
 * One skb counts once, as the stack gets it: GRO may have made one of several frames, and a VLAN tag
 * that lies beside the data is not missed by the parser.
 */
SEC("tc")
int shunt_stack(struct __sk_buff *skb)
{
	struct lb_pkt pkt = {};
	enum lb_step step;

	lb_pull_headers(skb);
	step = lb_parse(&pkt, (void *)(long)skb->data, (void *)(long)skb->data_end, skb->len);
	if (step == LB_NEXT)
		step = lb_begin(&pkt);
	if (step == LB_NEXT)
		step = lb_find_vip(&pkt);
	lb_count(&stats, step == LB_NEXT ? LB_VIP_NUMBER(pkt.vip) : 0, skb->len);
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
