/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a packet on its way to a server looks like: outer headers, other addresses, new MAC addresses, a hop
 * less. Compiles for BPF and for the host; knows no maps and no verdicts.
 */
#ifndef LB_REWRITE_H
#define LB_REWRITE_H

#include "lb/csum.h"
#include "lb/parse.h"
#include "lb/tuple.h"

#define LB_OUTER_TTL 64

/* Frames lie anywhere: BPF stores unaligned words as they are, on the host memcpy() does. */
static LB_INLINE void lb_store16(void *p, __u16 half)
{
#ifdef __bpf__
	*(__u16 *)p = half;
#else
	__builtin_memcpy(p, &half, sizeof(half));
#endif
}

static LB_INLINE void lb_store32(void *p, __u32 word)
{
#ifdef __bpf__
	*(__u32 *)p = word;
#else
	__builtin_memcpy(p, &word, sizeof(word));
#endif
}

static LB_INLINE void lb_store64(void *p, __u64 pair)
{
#ifdef __bpf__
	*(lb_pair *)p = pair;
#else
	__builtin_memcpy(p, &pair, sizeof(pair));
#endif
}

/* What an outer header takes over from the inner one, and whose it is. */
struct lb_inner {
	__u32 traffic_class; /* DSCP and ECN */
	__u32 length; /* of the IP packet */
	__u32 protocol; /* its number in an outer header */
};

/* An address, in pairs of words. */
static LB_INLINE void lb_copy16(__u8 *to, const void *from)
{
	lb_store64(to, lb_load64(from));
	lb_store64(to + 8, lb_load64((const __u8 *)from + 8));
}

/*
 * data: the new frame; the old link header lies `outer` octets further on. VLAN tags are moved with the
 * octets behind them, which whoever comes next writes over.
 */
static LB_INLINE void lb_write_link(__u8 *data, const struct lb_server *server, __u32 outer)
{
	const __u32 *mac = (const __u32 *)server->destination_mac;
	__u64 tags = lb_load64(data + outer + 12);

	lb_store64(data, lb_load64(mac));
	lb_store32(data + 8, mac[2]);
	lb_store64(data + 12, tags);
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
	__u32 sum = lb_load16(ip + 10) + LB_CONST16(0x0100);

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

/* What a packet gets in front of it, and what must be known for that before its frame is moved. */
struct lb_outer {
	__u32 length; /* of all headers: 0, 20, 40, 32 or 52 */
	__u32 flow; /* the flow label */
	__u32 sum; /* of the packet, as lb_write_gue() takes it */
};

/*
 * ip, udp: of a parsed packet, with its old hops; shape: LB_SHAPE(). By pointer: returned or given as it is, clang
 * puts two members into one register, and Linux 6.1 loses the bounds of the length.
 */
static LB_INLINE void lb_outer_of(struct lb_outer *outer, __u32 length, const __u8 *ip,
				  const __u8 *udp, __u32 shape)
{
	outer->length = length;
	outer->flow = length == LB_IPV6_LENGTH || lb_is_gue(length) ? lb_flow_label(ip, udp) : 0;
	outer->sum =
		LB_MAY_GUE && length == LB_IPV6_LENGTH + LB_GUE_LENGTH ?
			lb_packet_sum(ip, udp, LB_SHAPE_VERSION(shape), LB_SHAPE_TTL(shape) - 1) :
			0;
}

/* Where a packet is addressed to, and where it comes from: places in IPv4, IPv6 and UDP headers. */
#define LB_TO	1
#define LB_FROM 0

/*
 * Another address and port, with checksums that are as right or wrong as before (RFC 1624, equation 3). ip, udp:
 * readable; sum: of the address's words; port: in network order. No checksum stays none, and one that
 * comes out as zero is sent as ones (RFC 768).
 */
static LB_INLINE void lb_readdress(__u8 *ip, __u8 *udp, __u32 ip_version, __u32 side,
				   const __u32 *address, __u32 sum, __u16 port)
{
	__u32 check = lb_load16(udp + 6), had_port = lb_load16(udp + 2 * side);
	__u8 *at;

	if (ip_version == 4) {
		at = ip + 12 + 4 * side;
		sum += lb_csum_word(~lb_load32(at));
		lb_store16(ip + 10, ~lb_csum_fold((__u16)~lb_load16(ip + 10) + sum));
		lb_store32(at, address[0]);
	} else {
		at = ip + 8 + 16 * side;
		for (int i = 0; i < 4; i++)
			sum += lb_csum_word(~lb_load32(at + 4 * i));
		lb_copy16(at, address);
	}
	lb_store16(udp + 2 * side, port);
	if (check) {
		sum += (__u16)~check + (__u32)(__u16)~had_port + port;
		check = (__u16)~lb_csum_fold(sum);
		check |= -lb_equal(check, 0);
		lb_store16(udp + 6, check);
	}
}

/* A packet to a VIP, on to a server of mode nat. */
static LB_INLINE void lb_nat_forward(__u8 *ip, __u8 *udp, __u32 ip_version,
				     const struct lb_server *server)
{
	__u32 port = server->port;

	lb_readdress(ip, udp, ip_version, LB_TO, server->destination, server->checksum,
		     port ? port : lb_load16(udp + 2));
}

/*
 * The frame has been moved: write what stands in front of the packet, and its TTL. What was known of the
 * packet is read anew rather than kept. User space may change a map's value between two reads, so the
 * length of the outer header is read once and everything follows from it. type_at: where the EtherType
 * stands. data to end: what may be written; 0: that is less than a parsed packet and front need.
 */
static LB_INLINE int lb_rewrite(__u8 *data, const __u8 *end, const struct lb_server *server,
				__u32 type_at, __u32 ip_version, const struct lb_outer *front)
{
	__u32 outer = front->length;
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
	if (LB_UNLIKELY(lb_is_gue(outer))) {
		/* The mask tells the verifier that it is not below zero. */
		outer = (outer - LB_GUE_LENGTH) & LB_OUTER_MASK;
		if (ip + outer + LB_GUE_LENGTH > end)
			return 0;
		lb_write_gue(ip + outer, &inner, server, front->flow, front->sum);
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
		lb_write_ipv6(ip, &inner, server, front->flow);
	} else if (LB_MAY_REDIRECT) {
		/* Where tags were taken off, the type has another place. */
		lb_store16(link_end, ip_version == 4 ? LB_CONST16(LB_ETHERTYPE_IPV4) :
						       LB_CONST16(LB_ETHERTYPE_IPV6));
	}
	return 1;
}

#endif
