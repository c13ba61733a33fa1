/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the two TC programs share: their profile, their counters, and how they look at a skb.
 *
 * A skb counts once, as the stack has it: GRO may have made one of several frames, and a VLAN tag that
 * lies beside the data is not missed by the parser.
 */
#ifndef LB_TC_STACK_H
#define LB_TC_STACK_H

#define LB_VIPS_ONLY
#define LB_MAY_PERCPU	1
#define LB_MAY_REDIRECT 0
#define LB_MAY_AES	0
#define LB_MAY_GUE	0
#define LB_MAY_TRACK	1
#include <linux/pkt_cls.h>

#include "lb/parse.h"
#include "lb/vip.h"

LB_MAP(stats, BPF_MAP_TYPE_PERCPU_ARRAY, struct lb_stack_count, 1);

#define LB_HEADERS (LB_ETH_LENGTH + 8 + LB_MAX_IP_HEADERS + LB_UDP_LENGTH)

/* Octets that lb_parse() reads of such a frame; of one whose headers are unusual, or cannot be seen: all. */
static LB_INLINE __u32 lb_needed(const __u8 *data, const __u8 *end)
{
	if (data + LB_ETH_LENGTH + LB_IPV4_LENGTH > end)
		return LB_HEADERS;
	if (lb_load16(data + 12) == LB_CONST16(LB_ETHERTYPE_IPV4) && data[LB_ETH_LENGTH] == 0x45)
		return LB_ETH_LENGTH + LB_IPV4_LENGTH + LB_UDP_LENGTH;
	if (lb_load16(data + 12) == LB_CONST16(LB_ETHERTYPE_IPV6) &&
	    !lb_is_extension(data[LB_ETH_LENGTH + 6]))
		return LB_ETH_LENGTH + LB_IPV6_LENGTH + LB_UDP_LENGTH;
	return LB_HEADERS;
}

/*
 * The headers may lie in the skb's pages, where no direct read reaches. To fetch them the kernel may have to
 * copy the skb's head, so it is not done for what is there already: all that the host sends by TCP.
 */
static LB_INLINE void lb_pull_headers(struct __sk_buff *skb)
{
	__u32 linear = skb->data_end - skb->data;

	if (linear < LB_HEADERS && linear < skb->len &&
	    linear < lb_needed((void *)(long)skb->data, (void *)(long)skb->data_end))
		bpf_skb_pull_data(skb, skb->len < LB_HEADERS ? skb->len : LB_HEADERS);
}

static LB_INLINE enum lb_step lb_parse_skb(struct __sk_buff *skb, struct lb_pkt *pkt)
{
	lb_pull_headers(skb);
	return lb_parse(pkt, (void *)(long)skb->data, (void *)(long)skb->data_end, skb->len);
}

/* NULL: the map has no such key, as when a file with more VIPs was applied. */
static LB_INLINE struct lb_stack_count *lb_stack_count(__u32 key, __u32 octets)
{
	struct lb_stack_count *count = bpf_map_lookup_elem(&stats, &key);

	if (count) {
		count->packets++;
		count->octets += octets;
	}
	return count;
}

static LB_INLINE const struct lb_setting *lb_setting(const struct lb_generation *generation)
{
	__u32 half = generation->half;

	return bpf_map_lookup_elem(&setting_map, &half);
}

#endif
