/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends a packet to its server: outer headers where the mode asks for them, new MAC addresses,
 * TTL less one. A packet is changed only after everything that can fail has not.
 */
#ifndef LB_FORWARD_H
#define LB_FORWARD_H

#include "lb/csum.h"
#include "lb/maps.h"
#include "lb/parse.h"
#include "lb/tuple.h"

#define LB_OUTER_TTL 64

static LB_INLINE void lb_store32(void *p, __u32 word)
{
	*(__u32 *)p = word;
}

static LB_INLINE void lb_store16(void *p, __u16 half)
{
	*(__u16 *)p = half;
}

/* What an outer header takes over from the inner one, and whose it is. */
struct lb_inner {
	__u32 traffic_class; /* DSCP and ECN */
	__u32 length; /* of the IP packet */
	__u32 protocol; /* its number in an outer header */
};

/* An address, in pairs of words. */
static LB_INLINE void lb_copy16(__u8 *to, const __u32 *from)
{
	((lb_pair *)to)[0] = ((const lb_pair *)from)[0];
	((lb_pair *)to)[1] = ((const lb_pair *)from)[1];
}

/*
 * data: the new frame; the old link header lies `outer` octets further on. VLAN tags are moved with the
 * octets behind them, which whoever comes next writes over.
 */
static LB_INLINE void lb_write_link(__u8 *data, const struct lb_server *server, __u32 outer)
{
	const __u32 *mac = (const __u32 *)server->destination_mac;
	__u64 tags = lb_load64(data + outer + 12);

	*(lb_pair *)data = *(const lb_pair *)mac;
	lb_store32(data + 8, mac[2]);
	*(lb_pair *)(data + 12) = tags;
}

/*
 * The tunnel takes over DSCP and ECN (RFC 6040 section 4.1, normal mode; RFC 2983, uniform). DF is
 * always set, as RFC 2003 allows, and so the identification may be zero (RFC 6864).
 */
static LB_INLINE void lb_write_ipv4(__u8 *at, const struct lb_inner *inner,
				    const struct lb_server *server)
{
	__u32 type_of_service = LB_BE16(0x4500 | inner->traffic_class);
	__u32 length = LB_BE16(inner->length + LB_IPV4_LENGTH);
	__u32 hops = LB_BE16(LB_OUTER_TTL << 8 | inner->protocol);
	__u32 sum = server->checksum + type_of_service + length + hops;

	lb_store16(at, type_of_service);
	lb_store16(at + 2, length);
	lb_store32(at + 4, LB_BE32(LB_IPV4_DF));
	lb_store16(at + 8, hops);
	lb_store16(at + 10, ~lb_csum_fold(sum));
	lb_store32(at + 12, server->source[0]);
	lb_store32(at + 16, server->destination[0]);
}

/* flow: the flow label. */
static LB_INLINE void lb_write_ipv6(__u8 *at, const struct lb_inner *inner,
				    const struct lb_server *server, __u32 flow)
{
	lb_store32(at, LB_BE32(6u << 28 | inner->traffic_class << 20 | flow));
	lb_store32(at + 4, LB_BE32(inner->length << 16 | inner->protocol << 8 | LB_OUTER_TTL));
	lb_copy16(at + 8, server->source);
	lb_copy16(at + 24, server->destination);
}

/*
 * One hop less, as for any forwarded packet, also for the one that goes into the tunnel (RFC 2003). The
 * TTL is the upper half of its word, so the checksum goes up by 0x0100 (RFC 1624).
 */
static LB_INLINE void lb_decrement_ttl(__u8 *ip)
{
	__u32 sum = *(__u16 *)(ip + 10) + LB_CONST16(0x0100);

	ip[8]--;
	lb_store16(ip + 10, sum + ((sum + 1) >> 16));
}

/* Of the whole packet. */
static LB_INLINE __u32 lb_ip_length(const __u8 *ip, __u32 ip_version)
{
	return ip_version == 4 ? lb_read16(ip + 2) : lb_read16(ip + 4) + LB_IPV6_LENGTH;
}

/* Of 0, 20, 40, 32 and 52 octets, which two bits tell apart: one comparison for every packet that has none. */
static LB_INLINE int lb_is_gue(__u32 outer)
{
	return LB_MAY_GUE && (outer & 40) == 32;
}

/*
 * The one's complement sum of a packet with that many hops left, from its headers alone: IPv4's header adds
 * up to nothing, and so do a UDP datagram and its pseudo-header. If a checksum of the packet is wrong, so is
 * what this leads to, by as much. 0: it does not follow, for the datagram has no checksum, ends
 * before its packet, or has extension headers in front of it.
 */
static LB_INLINE __u32 lb_packet_sum(const __u8 *ip, const __u8 *udp, __u32 ip_version, __u32 hops)
{
	__u32 length = lb_load16(udp + 4), sum = (__u16)~LB_CONST16(LB_PROTO_UDP);

	if (!lb_load16(udp + 6))
		return 0;
	if (ip_version == 4) {
		if (lb_read16(ip + 2) != lb_read16(udp + 4) + ((ip[0] & 0x0f) << 2))
			return 0;
		return sum + (__u16)~length + lb_csum_word(~lb_load32(ip + 12)) +
		       lb_csum_word(~lb_load32(ip + 16));
	}
	if (lb_load16(ip + 4) != length || ip[6] != LB_PROTO_UDP)
		return 0;
	return sum + lb_csum_word(lb_load32(ip)) + LB_BE16(LB_PROTO_UDP << 8 | hops);
}

/*
 * UDP, and GUE of variant 0 (draft-ietf-intarea-gue section 3): no options, no flags, the inner packet's
 * protocol number. flow: 20 bits, of which 15 make the source port. sum: of the inner packet; 0: no checksum,
 * which is the rule over IPv4. Over IPv6 a tunnel may do without as well (RFC 6935 section 5), and Linux
 * takes it unless told otherwise, but what is between may not: so it is left out only where the sum is
 * not known.
 */
static LB_INLINE void lb_write_gue(__u8 *at, const struct lb_inner *inner,
				   const struct lb_server *server, __u32 flow, __u32 sum)
{
	__u32 source = LB_BE16(0x8000 | ((flow ^ flow >> 15) & 0x7fff));
	__u32 length = LB_BE16(inner->length + LB_GUE_LENGTH);
	__u32 protocol = LB_BE16(inner->protocol), check = 0;

	if (sum) {
		sum += server->checksum + source + length + length + protocol;
		check = (__u16)~lb_csum_fold(sum);
		check |= -lb_equal(check, 0); /* zero would say that there is none */
	}
	lb_store16(at, source);
	lb_store16(at + 2, server->port);
	lb_store16(at + 4, length);
	lb_store16(at + 6, check);
	lb_store32(at + 8, protocol);
}

/* ip: the packet's own header, readable. Takes a hop off it. */
static LB_INLINE void lb_enter(__u8 *ip, __u32 ip_version, struct lb_inner *inner)
{
	inner->length = lb_ip_length(ip, ip_version);
	if (ip_version == 4) {
		inner->traffic_class = ip[1];
		inner->protocol = LB_PROTO_IPIP;
		lb_decrement_ttl(ip);
	} else {
		inner->traffic_class = (lb_read16(ip) >> 4) & 0xff;
		inner->protocol = LB_PROTO_IPV6;
		ip[7]--;
	}
}

/*
 * The frame has been moved: write what stands in front of the packet, and its TTL. What was known of the
 * packet is read anew rather than kept. User space may change a map's value between two reads, so the
 * length of the outer header is read once and everything follows from it. type_at: where the EtherType
 * stands; sum: of the packet, as lb_write_gue() takes it.
 */
static LB_INLINE int lb_rewrite(struct xdp_md *ctx, const struct lb_server *server, __u32 type_at,
				__u32 outer, __u32 ip_version, __u32 flow, __u32 sum)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 *link_end = data + type_at, *ip = link_end + 2, *inner_ip;
	struct lb_inner inner;

	/* Else clang knows what the verifier does not: where this can be read, the outer header can. */
	type_at += outer;
	LB_OPAQUE(type_at);
	inner_ip = data + type_at + 2;
	if (data + LB_ETH_LENGTH + 6 > end || data + outer + LB_ETH_LENGTH + 6 > end ||
	    ip + LB_IPV4_LENGTH > end || inner_ip + LB_IPV4_LENGTH > end)
		return 0;
	lb_write_link(data, server, outer);
	lb_enter(inner_ip, ip_version, &inner);
	if (lb_is_gue(outer)) {
		/* Behind the shorter ones there is an IP header at least. */
		if (ip + LB_IPV6_LENGTH + LB_GUE_LENGTH > end)
			return 0;
		outer -= LB_GUE_LENGTH;
		if (outer == LB_IPV4_LENGTH)
			lb_write_gue(ip + LB_IPV4_LENGTH, &inner, server, flow, 0);
		else
			lb_write_gue(ip + LB_IPV6_LENGTH, &inner, server, flow, sum);
		inner.length += LB_GUE_LENGTH;
		inner.protocol = LB_PROTO_UDP;
	}
	if (outer == LB_IPV4_LENGTH) {
		lb_store16(link_end, LB_CONST16(LB_ETHERTYPE_IPV4));
		lb_write_ipv4(ip, &inner, server);
	} else if (outer == LB_IPV6_LENGTH) {
		if (ip + LB_IPV6_LENGTH > end)
			return 0;
		lb_store16(link_end, LB_CONST16(LB_ETHERTYPE_IPV6));
		lb_write_ipv6(ip, &inner, server, flow);
	} else if (LB_MAY_REDIRECT) {
		/* Where tags were taken off, the type has another place. */
		lb_store16(link_end, ip_version == 4 ? LB_CONST16(LB_ETHERTYPE_IPV4) :
						       LB_CONST16(LB_ETHERTYPE_IPV6));
	}
	return 1;
}

/* An XDP verdict, or why the packet was left as it was: LB_LEFT() of a reason. */
#define LB_LEFT(reason)	  ((reason) << 8)
#define LB_LEFT_WHY(sent) ((sent) >> 8)

/*
 * ip, udp: of the packet in ctx. VLAN tags stay on a frame that leaves where it came in; a redirected one
 * loses them, for user space resolves no VLAN interface as an egress.
 */
static LB_SUB __u32 lb_send(struct xdp_md *ctx, const struct lb_server *server, const __u8 *ip,
			    const __u8 *udp, __u32 shape)
{
	__u32 type_at = LB_SHAPE_TYPE_AT(shape), ip_version = LB_SHAPE_VERSION(shape);
	__u32 mode_and_outer = lb_load16(&server->mode),
	      outer = lb_second_octet(mode_and_outer) & 63;
	__u32 left = type_at, flow = 0, sum = 0, verdict = XDP_TX;
	int shift;

	if (!mode_and_outer)
		return LB_LEFT(LB_REASON_no_next_hop);
	if (LB_SHAPE_TTL(shape) <= 1)
		return LB_LEFT(LB_REASON_ttl_expired);
	/* Only a virtual link hands over frames that large, unsegmented. */
	if (LB_MAY_REDIRECT && lb_ip_length(ip, ip_version) + outer > 0xffff)
		return LB_LEFT(LB_REASON_no_headroom);
	if (outer == LB_IPV6_LENGTH || lb_is_gue(outer))
		flow = lb_flow_label(ip, udp);
	if (LB_MAY_GUE && outer == LB_IPV6_LENGTH + LB_GUE_LENGTH)
		sum = lb_packet_sum(ip, udp, ip_version, LB_SHAPE_TTL(shape) - 1);
	if (LB_MAY_REDIRECT && server->egress) {
		verdict = lb_redirect(server->egress);
		if (verdict != XDP_REDIRECT)
			return LB_LEFT(LB_REASON_no_next_hop);
		left = LB_ETH_LENGTH - 2;
	}
	shift = type_at - left - outer;
	if (shift && bpf_xdp_adjust_head(ctx, shift))
		return LB_LEFT(LB_REASON_no_headroom);
	if (!lb_rewrite(ctx, server, left, outer, ip_version, flow, sum))
		return XDP_ABORTED;
	return verdict;
}

/* A server is chosen. */
static LB_INLINE void lb_forward(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	__u32 key = pkt->generation->server_base + LB_ROUTE_SERVER(pkt->route), sent;
	const struct lb_server *server = bpf_map_lookup_elem(&server_map, &key);

	sent = server ? lb_send(ctx, server, pkt->ip, pkt->udp, pkt->shape) :
			LB_LEFT(LB_REASON_no_next_hop);
	pkt->verdict = sent;
	if (LB_LEFT_WHY(sent))
		lb_pass(pkt, LB_LEFT_WHY(sent));
}

#endif
