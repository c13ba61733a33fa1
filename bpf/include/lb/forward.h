/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends a packet to its server: an outer IP header where the mode asks for one, new MAC addresses,
 * TTL less one. A packet is changed only after everything that can fail has not.
 */
#ifndef LB_FORWARD_H
#define LB_FORWARD_H

#include "lb/csum.h"
#include "lb/maps.h"
#include "lb/parse.h"
#include "lb/tuple.h"

#define LB_OUTER_TTL 64
#define LB_IPV4_DF   0x4000

static LB_INLINE void lb_store32(void *p, __u32 word)
{
	*(__u32 *)p = word;
}

static LB_INLINE void lb_store16(void *p, __u16 half)
{
	*(__u16 *)p = half;
}

/* at: where the link header begins. type: EtherType of what follows it, host order. */
static LB_INLINE int lb_write_link(__u8 *at, const void *end, const struct lb_pkt *pkt,
				   const struct lb_server *server, __u32 link_length, __u16 type)
{
	const __u32 *mac = (const __u32 *)server->destination_mac;

	if (at + LB_ETH_LENGTH + 8 > (__u8 *)end)
		return 0;
	lb_store32(at, mac[0]);
	lb_store32(at + 4, mac[1]);
	lb_store32(at + 8, mac[2]);
	if (link_length < LB_ETH_LENGTH + 4) {
		lb_store16(at + 12, LB_BE16(type));
		return 1;
	}
	lb_store32(at + 12, pkt->vlan[0]);
	if (link_length < LB_ETH_LENGTH + 8) {
		lb_store16(at + 16, LB_BE16(type));
		return 1;
	}
	lb_store32(at + 16, pkt->vlan[1]);
	lb_store16(at + 20, LB_BE16(type));
	return 1;
}

/*
 * The tunnel takes over DSCP and ECN (RFC 6040 section 4.1, normal mode; RFC 2983, uniform). DF is
 * always set, as RFC 2003 allows, and so the identification may be zero (RFC 6864).
 */
static LB_INLINE void lb_write_ipv4(__u8 *at, const struct lb_pkt *pkt,
				    const struct lb_server *server)
{
	__u32 first =
		LB_BE32(0x45000000 | pkt->traffic_class << 16 | (pkt->ip_length + LB_IPV4_LENGTH));
	__u32 inner = pkt->ip_version == 4 ? LB_PROTO_IPIP : LB_PROTO_IPV6;
	__u32 third = LB_BE32(LB_OUTER_TTL << 24 | inner << 16);
	__u32 sum = lb_csum_word(first) + LB_CONST16(LB_IPV4_DF) + lb_csum_word(third) +
		    server->checksum;

	lb_store32(at, first);
	lb_store32(at + 4, LB_BE32(LB_IPV4_DF));
	lb_store32(at + 8, third);
	lb_store16(at + 10, ~lb_csum_fold(sum));
	lb_store32(at + 12, server->source[0]);
	lb_store32(at + 16, server->destination[0]);
}

/* The flow label carries the inner flow's entropy to whoever spreads load behind us (RFC 6438). */
static LB_INLINE void lb_write_ipv6(__u8 *at, const struct lb_pkt *pkt,
				    const struct lb_server *server, __u32 flow)
{
	__u32 inner = pkt->ip_version == 4 ? LB_PROTO_IPIP : LB_PROTO_IPV6;

	lb_store32(at, LB_BE32(6u << 28 | pkt->traffic_class << 20 | (flow & 0xfffff)));
	lb_store32(at + 4, LB_BE32(pkt->ip_length << 16 | inner << 8 | LB_OUTER_TTL));
	LB_UNROLL
	for (int i = 0; i < 4; i++) {
		lb_store32(at + 8 + 4 * i, server->source[i]);
		lb_store32(at + 24 + 4 * i, server->destination[i]);
	}
}

/* One hop less for the packet that goes into the tunnel, as for any forwarded one (RFC 2003). */
static LB_INLINE void lb_decrement_ttl(__u8 *ip, __u32 ip_version)
{
	__u16 before, after;

	if (ip_version == 6) {
		ip[7]--;
		return;
	}
	before = *(__u16 *)(ip + 8);
	ip[8]--;
	after = *(__u16 *)(ip + 8);
	lb_store16(ip + 10, lb_csum_replace(*(__u16 *)(ip + 10), before, after));
}

static LB_INLINE __u32 lb_outer_length(const struct lb_server *server)
{
	if (server->mode == LB_MODE_IPIP4)
		return LB_IPV4_LENGTH;
	if (server->mode == LB_MODE_IPIP6)
		return LB_IPV6_LENGTH;
	return 0;
}

/*
 * The frame has been moved: write what stands in front of the packet, and its TTL. Each branch asks
 * for its own octets: user space may change a map's value between two reads of the mode, so the
 * length of the outer header is read once and everything follows from it.
 */
static LB_INLINE int lb_rewrite(struct xdp_md *ctx, const struct lb_pkt *pkt,
				const struct lb_server *server, __u32 link_length, __u32 outer,
				__u32 flow)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u16 type = pkt->ip_version == 4 ? LB_ETHERTYPE_IPV4 : LB_ETHERTYPE_IPV6;
	__u8 *ip = data + link_length;

	if (outer == LB_IPV4_LENGTH) {
		if (ip + LB_IPV4_LENGTH + LB_IPV4_LENGTH > end)
			return 0;
		type = LB_ETHERTYPE_IPV4;
		lb_write_ipv4(ip, pkt, server);
		ip += LB_IPV4_LENGTH;
	} else if (outer == LB_IPV6_LENGTH) {
		if (ip + LB_IPV6_LENGTH + LB_IPV4_LENGTH > end)
			return 0;
		type = LB_ETHERTYPE_IPV6;
		lb_write_ipv6(ip, pkt, server, flow);
		ip += LB_IPV6_LENGTH;
	} else if (ip + LB_IPV4_LENGTH > end) {
		return 0;
	}
	lb_decrement_ttl(ip, pkt->ip_version);
	return lb_write_link(data, end, pkt, server, link_length, type);
}

/*
 * pkt->server is chosen. VLAN tags stay on a frame that leaves where it came in; a redirected one
 * loses them, for user space resolves no VLAN interface as an egress.
 */
static LB_INLINE enum lb_step lb_forward(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	__u32 key = pkt->generation->server_base + pkt->server, flow = 0;
	const struct lb_server *server = bpf_map_lookup_elem(&server_map, &key);
	__u32 link_length = pkt->link_length, outer;
	int shift;

	if (!server || server->mode == LB_MODE_UNSET)
		return lb_pass(pkt, LB_REASON_no_next_hop);
	if (pkt->ttl <= 1)
		return lb_pass(pkt, LB_REASON_ttl_expired);
	pkt->verdict = XDP_TX;
	if (server->egress) {
		pkt->verdict = lb_redirect(server->egress);
		if (pkt->verdict != XDP_REDIRECT)
			return lb_pass(pkt, LB_REASON_no_next_hop);
		link_length = LB_ETH_LENGTH;
	}
	outer = lb_outer_length(server);
	/* Only a virtual link hands over frames that large, unsegmented. */
	if (pkt->ip_length + outer > 0xffff)
		return lb_pass(pkt, LB_REASON_no_headroom);
	if (outer == LB_IPV6_LENGTH)
		flow = lb_tuple_hash(pkt);

	shift = pkt->link_length - link_length - outer;
	if (shift && bpf_xdp_adjust_head(ctx, shift))
		return lb_pass(pkt, LB_REASON_no_headroom);
	if (!lb_rewrite(ctx, pkt, server, link_length, outer, flow))
		pkt->verdict = XDP_ABORTED;
	return LB_DONE;
}

#endif
