/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets for a VIP that the parser leaves: fragments, UDP behind many extension headers, ICMP errors.
 * What the host itself may want at the same address, such as TCP, its errors and its fragments, is not ours.
 */
#ifndef LB_TC_UNUSUAL_H
#define LB_TC_UNUSUAL_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include "stack.h"

#define LB_IPV4_OFFSET	  0x1fff
#define LB_DEEPEST_HEADER 24 /* extension headers until which UDP is looked for */

enum {
	LB_PROTO_ICMP = 1,
	LB_PROTO_TCP = 6,
	LB_PROTO_ICMPV6 = 58,
};

/* What a packet is found to be: 0: not ours, or of that VIP; VIP 0: whichever has the address. */
#define LB_FOUND(vip)	    (1 << 16 | (vip))
#define LB_FOUND_VIP(found) ((found)&0xffff)

/* Worth a closer look; what most other packets are, TCP straight behind IP, is told at once. */
static LB_INLINE int lb_is_unusual(const struct lb_pkt *pkt)
{
	enum lb_reason reason = LB_ROUTE_REASON(pkt->route);
	const __u8 *ip = pkt->ip;

	if (reason == LB_REASON_fragment || reason == LB_REASON_ip_options)
		return 1;
	if (reason != LB_REASON_not_udp || ip + LB_IPV4_LENGTH > (const __u8 *)pkt->end)
		return 0;
	return ip[0] >> 4 == 4 ? ip[9] == LB_PROTO_ICMP : ip[6] != LB_PROTO_TCP;
}

/* An address and a port as vip_map's key; IPv4's address in the first word. */
static LB_INLINE struct lb_table_key lb_key4(__u32 address, __u32 last)
{
	return (struct lb_table_key){ lb_pair_of(address, 0), 0, last };
}

static LB_INLINE struct lb_table_key lb_key6(const struct in6_addr *address, __u32 last)
{
	const __u32 *word = address->in6_u.u6_addr32;

	return (struct lb_table_key){ lb_pair_of(word[0], word[1]), lb_pair_of(word[2], word[3]),
				      last };
}

/* Fragments but the first have no port: the address decides. */
static LB_INLINE __u32 lb_found_address(const struct lb_table_key *key)
{
	const struct lb_setting *setting;
	struct lb_pkt pkt = {};

	if (lb_begin(&pkt) != LB_NEXT)
		return 0;
	setting = lb_setting(pkt.generation);
	if (!setting || !lb_table_find(&address_map, key, &setting->address_base))
		return 0;
	return LB_FOUND(0);
}

static LB_INLINE __u32 lb_found_vip(const struct lb_table_key *key)
{
	struct lb_pkt pkt = {};
	__u32 vip;

	if (lb_begin(&pkt) != LB_NEXT)
		return 0;
	vip = lb_table_find(&vip_map, key, &pkt.generation->vip_base);
	return vip ? LB_FOUND(LB_VIP_NUMBER(vip)) : 0;
}

/* RFC 792: unreachable, source quench, time exceeded, parameter problem. */
static LB_INLINE int lb_is_error4(__u32 type)
{
	return type == 3 || type == 4 || type == 11 || type == 12;
}

/* RFC 4443 section 2.1; 0 is reserved. */
static LB_INLINE int lb_is_error6(__u32 type)
{
	return type && type < 128;
}

/* An error goes to who sent the packet that it quotes: a VIP, by UDP. at: of the ICMP header. */
static LB_INLINE __u32 lb_quotes_vip4(struct __sk_buff *skb, __u32 at, __u32 to)
{
	struct lb_table_key key;
	struct iphdr ip;
	__u16 port;
	__u8 type;

	if (bpf_skb_load_bytes(skb, at, &type, sizeof(type)) || !lb_is_error4(type) ||
	    bpf_skb_load_bytes(skb, at + 8, &ip, sizeof(ip)))
		return 0;
	if (ip.saddr != to || ip.protocol != LB_PROTO_UDP ||
	    (ip.frag_off & LB_CONST16(LB_IPV4_OFFSET)) ||
	    bpf_skb_load_bytes(skb, at + 8 + (ip.ihl << 2), &port, sizeof(port)))
		return 0;
	key = lb_key4(ip.saddr, LB_VIP_KEY(4, port));
	return lb_found_vip(&key);
}

static LB_INLINE __u32 lb_quotes_vip6(struct __sk_buff *skb, __u32 at,
				      const struct lb_table_key *to)
{
	struct lb_table_key key;
	struct ipv6hdr ip;
	__u16 port;
	__u8 type;

	if (bpf_skb_load_bytes(skb, at, &type, sizeof(type)) || !lb_is_error6(type) ||
	    bpf_skb_load_bytes(skb, at + 8, &ip, sizeof(ip)) || ip.nexthdr != LB_PROTO_UDP ||
	    bpf_skb_load_bytes(skb, at + 8 + LB_IPV6_LENGTH, &port, sizeof(port)))
		return 0;
	key = lb_key6(&ip.saddr, LB_VIP_KEY(6, port));
	if (key.first != to->first || key.second != to->second)
		return 0;
	return lb_found_vip(&key);
}

static LB_INLINE __u32 lb_unusual4(struct __sk_buff *skb, __u32 at)
{
	struct lb_table_key key;
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)))
		return 0;
	key = lb_key4(ip.daddr, LB_ADDRESS_KEY(4));
	if (ip.protocol == LB_PROTO_UDP)
		return lb_found_address(&key);
	if (ip.protocol == LB_PROTO_ICMP && !(ip.frag_off & LB_CONST16(LB_IPV4_FRAGMENT)))
		return lb_quotes_vip4(skb, at + (ip.ihl << 2), ip.daddr);
	return 0;
}

/* As lb_same_range(), for headers that may lie anywhere in the packet. */
static LB_INLINE __u32 lb_same_offset(__u32 offset)
{
	asm volatile("%0 &= 0xffff" : "+r"(offset));
	return offset;
}

/* *next, *at: what comes behind the extension headers, or a fragment header; false: cannot be told. */
static LB_INLINE int lb_skip_extensions(struct __sk_buff *skb, __u32 *next, __u32 *at)
{
	__u8 header[4];

	LB_NO_UNROLL
	for (int i = 0; i < LB_DEEPEST_HEADER; i++) {
		if (!lb_is_extension(*next))
			return 1;
		if (bpf_skb_load_bytes(skb, *at, header, sizeof(header)))
			return 0;
		/* Segments left: not for this host yet, as in lb_parse_ipv6(). */
		if (*next == LB_PROTO_ROUTING && header[3])
			return 0;
		*at += *next == LB_PROTO_AH ? (header[1] + 2) << 2 : (header[1] + 1) << 3;
		*at = lb_same_offset(*at);
		*next = header[0];
	}
	return 0;
}

static LB_INLINE __u32 lb_unusual6(struct __sk_buff *skb, __u32 at)
{
	struct lb_table_key key;
	struct ipv6hdr ip;
	__u16 port = 0;
	__u8 inside = 0;
	__u32 next;

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)))
		return 0;
	next = ip.nexthdr;
	at += LB_IPV6_LENGTH;
	if (!lb_skip_extensions(skb, &next, &at))
		return 0;
	key = lb_key6(&ip.daddr, LB_ADDRESS_KEY(6));
	switch (next) {
	case LB_PROTO_FRAGMENT:
		bpf_skb_load_bytes(skb, at, &inside, sizeof(inside));
		return inside == LB_PROTO_UDP || (inside && lb_is_extension(inside)) ?
			       lb_found_address(&key) :
			       0;
	case LB_PROTO_UDP:
		bpf_skb_load_bytes(skb, at + 2, &port, sizeof(port));
		key.last = LB_VIP_KEY(6, port);
		return lb_found_vip(&key);
	case LB_PROTO_ICMPV6:
		return lb_quotes_vip6(skb, at, &key);
	default:
		return 0;
	}
}

/*
 * link_length: where the IP header begins. What lb_parse() left for an unusual reason, judged again octet
 * by octet: rare, so a function of its own that the verifier walks once.
 */
__attribute__((noinline)) __u32 lb_unusual(struct __sk_buff *skb, __u32 link_length)
{
	__u8 first;

	if (bpf_skb_load_bytes(skb, link_length, &first, sizeof(first)))
		return 0;
	return first >> 4 == 4 ? lb_unusual4(skb, link_length) : lb_unusual6(skb, link_length);
}

#endif
