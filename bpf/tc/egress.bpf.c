/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What leaves by the interface: counts what comes from a VIP, and gives the answers of nat servers their
 * VIP's address where the host's own routing brings them here, so that no XDP tier saw them.
 *
 * An answer is known by its source alone, and only in a packet that has been forwarded: what this host says
 * itself from such an address stays as it is. Left too: fragments, for all but the first have no port, and
 * ICMP errors of the server, which quote addresses that the client never used.
 */
#include "stack.h"

#define LB_IPV4_CHECK  10 /* offsets in the headers */
#define LB_IPV4_SOURCE 12
#define LB_IPV6_SOURCE 8
#define LB_UDP_CHECK   6

/* Where a packet is from, as vip_map's and address_map's key; last 0: it cannot be read. */
static LB_INLINE struct lb_table_key lb_source(const struct lb_pkt *pkt)
{
	const __u8 *ip = pkt->ip, *udp = pkt->udp, *end = pkt->end;
	struct lb_table_key key = {};

	if (udp + LB_UDP_LENGTH > end || ip + LB_IPV4_LENGTH > end)
		return key;
	if (pkt->ip_version == 4) {
		key.first = lb_pair_of(lb_load32(ip + LB_IPV4_SOURCE), 0);
	} else {
		if (ip + LB_IPV6_LENGTH > end)
			return key;
		key.first = lb_load64(ip + LB_IPV6_SOURCE);
		key.second = lb_load64(ip + LB_IPV6_SOURCE + 8);
	}
	key.last = LB_VIP_KEY(pkt->ip_version, lb_load16(udp));
	return key;
}

/*
 * The helpers know what a partial checksum is, whose sum is the pseudo header's only, and leave UDP's 0,
 * which means none. 0 or what a helper said.
 */
static LB_INLINE long lb_set_source(struct __sk_buff *skb, __u32 ip, __u32 udp,
				    const struct lb_table_key *from, const struct lb_vip *to)
{
	const __u64 flags = BPF_F_MARK_MANGLED_0, pseudo = flags | BPF_F_PSEUDO_HDR;
	__u32 before = lb_pair_low(from->first), after = to->address[0], length = 4;
	__u32 at = ip + LB_IPV4_SOURCE;
	__s64 difference;
	long error;

	if (to->ip_version == 4) {
		error = bpf_l3_csum_replace(skb, ip + LB_IPV4_CHECK, before, after, length);
		if (!error)
			error = bpf_l4_csum_replace(skb, udp + LB_UDP_CHECK, before, after,
						    pseudo | length);
	} else {
		__u64 words[2] = { from->first, from->second };

		length = sizeof(words);
		at = ip + LB_IPV6_SOURCE;
		difference = bpf_csum_diff((__be32 *)words, sizeof(words), (__be32 *)to->address,
					   sizeof(to->address), 0);
		error = bpf_l4_csum_replace(skb, udp + LB_UDP_CHECK, 0, difference, pseudo);
	}
	if (!error)
		error = bpf_l4_csum_replace(skb, udp + LB_UDP_CHECK, (__u16)from->last, to->port,
					    flags | sizeof(to->port));
	if (!error)
		error = length == 4 ? bpf_skb_store_bytes(skb, at, to->address, 4, 0) :
				      bpf_skb_store_bytes(skb, at, to->address, 16, 0);
	return error ? error : bpf_skb_store_bytes(skb, udp, &to->port, sizeof(to->port), 0);
}

static LB_INLINE void lb_count_return(struct lb_stack_count *count, long error)
{
	if (!count)
		return;
	if (error)
		count->drops++;
	else
		count->redirects++;
}

/* nat: address_map's value. A half-changed packet is of no use to anybody. */
static LB_INLINE int lb_give_back(struct __sk_buff *skb, const struct lb_pkt *pkt,
				  const struct lb_setting *setting, const struct lb_table_key *from,
				  __u32 nat)
{
	__u32 key = setting->vip_base + LB_NAT_VIP(nat), length = skb->len;
	__u32 server = setting->stack_servers + LB_NAT_SERVER(nat);
	__u32 header = (const __u8 *)pkt->udp - (const __u8 *)pkt->ip;
	const struct lb_vip *vip = bpf_map_lookup_elem(&vip_address_map, &key);
	long error = -1;

	if (vip && vip->ip_version == pkt->ip_version)
		error = lb_set_source(skb, pkt->link_length, pkt->link_length + header, from, vip);
	lb_count_return(lb_stack_count(LB_STACK_VIP(LB_EGRESS, LB_NAT_VIP(nat)), length), error);
	lb_count_return(lb_stack_count(server, length), error);
	return error ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tc")
int shunt_return(struct __sk_buff *skb)
{
	const struct lb_setting *setting;
	struct lb_table_key from = {};
	struct lb_pkt pkt = {};
	__u32 nat = 0, vip = 0;
	enum lb_step step;

	step = lb_parse_skb(skb, &pkt);
	if (step == LB_NEXT)
		step = lb_begin(&pkt);
	if (step == LB_NEXT)
		from = lb_source(&pkt);
	if (from.last) {
		setting = lb_setting(pkt.generation);
		if (setting && setting->has_nat && skb->ingress_ifindex)
			nat = lb_table_find(&address_map, &from, &setting->address_base);
		if (setting && nat)
			return lb_give_back(skb, &pkt, setting, &from, nat);
		vip = LB_VIP_NUMBER(lb_table_find(&vip_map, &from, &pkt.generation->vip_base));
	}
	lb_stack_count(LB_STACK_VIP(LB_EGRESS, vip), skb->len);
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
