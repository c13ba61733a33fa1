/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the first octet of a frame to its UDP payload: Ethernet, VLAN tags, IPv4, IPv6, UDP.
 *
 * The cursor `pos` only moves forward, and every read stands behind a comparison with pkt->end.
 * Lengths that headers state are held against the frame's own, so that padding behind a short
 * datagram is never taken for a connection ID.
 */
#ifndef LB_PARSE_H
#define LB_PARSE_H

#include "lb/packet.h"

#define LB_ETH_LENGTH  14
#define LB_IPV4_LENGTH 20
#define LB_IPV6_LENGTH 40
#define LB_UDP_LENGTH  8

#define LB_ETHERTYPE_IPV4 0x0800
#define LB_ETHERTYPE_IPV6 0x86dd
#define LB_ETHERTYPE_VLAN 0x8100
#define LB_ETHERTYPE_QINQ 0x88a8

#define LB_IPV4_FRAGMENT 0x3fff /* more-fragments flag and offset */

enum {
	LB_PROTO_HOPOPTS = 0,
	LB_PROTO_IPIP = 4,
	LB_PROTO_UDP = 17,
	LB_PROTO_IPV6 = 41,
	LB_PROTO_ROUTING = 43,
	LB_PROTO_FRAGMENT = 44,
	LB_PROTO_AH = 51,
	LB_PROTO_DSTOPTS = 60,
};

/* A packet may carry each kind once and destination options twice; nobody sends more than a few. */
#ifndef LB_MAX_EXTENSIONS
#define LB_MAX_EXTENSIONS 6
#endif
/*
 * What is not looked at on a card: datagrams that are too short to compare connection IDs in whole words.
 * QUIC's own are longer (RFC 9000 section 10.3.3).
 */
#ifndef LB_MIN_PAYLOAD
#define LB_MIN_PAYLOAD 0
#endif
#ifndef LB_MAX_IP_HEADERS
#define LB_MAX_IP_HEADERS 511 /* octets, IPv6 header and extensions: one less than a power of 2 */
#endif

static LB_INLINE __u32 lb_read16(const __u8 *p)
{
#ifdef __bpf__
	return LB_BE16(*(const __u16 *)p);
#else
	return (__u32)p[0] << 8 | p[1];
#endif
}

/* 1 if equal, else 0, without a branch; both below 2^31. */
static LB_INLINE __u32 lb_equal(__u32 a, __u32 b)
{
	return ((a ^ b) - 1) >> 31;
}

/* type: as it lies in the frame. */
static LB_INLINE __u32 lb_is_vlan(__u32 type)
{
	return lb_equal(type, LB_CONST16(LB_ETHERTYPE_VLAN)) |
	       lb_equal(type, LB_CONST16(LB_ETHERTYPE_QINQ));
}

static LB_INLINE int lb_is_tag(__u32 type)
{
	return type == LB_CONST16(LB_ETHERTYPE_VLAN) || type == LB_CONST16(LB_ETHERTYPE_QINQ);
}

/*
 * How many tags there are, by arithmetic: the verifier then walks the rest of the program once, with an
 * unknown link length, and not once for each number of tags. *type: as lb_parse_link() wants it.
 */
static LB_INLINE __u32 lb_count_tags(const __u8 *data, __u32 *type)
{
	__u32 first = lb_is_vlan(lb_load16(data + 12));
	__u32 second = first & lb_is_vlan(lb_load16(data + 16));

	LB_OPAQUE(first);
	LB_OPAQUE(second);
	*type = lb_load16(data + 12);
	if (first)
		*type = lb_load16(data + 16);
	if (second)
		*type = lb_load16(data + 20);
	return first + second;
}

/* The same by branches: less for a card to hold, and there is little behind them to walk twice. */
static LB_INLINE __u32 lb_find_tags(const __u8 *data, __u32 *type)
{
	*type = lb_load16(data + 12);
	if (!lb_is_tag(*type))
		return 0;
	*type = lb_load16(data + 16);
	if (!lb_is_tag(*type))
		return 1;
	*type = lb_load16(data + 20);
	return 2;
}

/* Nearly every frame has none, which one comparison tells. */
static LB_INLINE __u32 lb_tags(const __u8 *data, __u32 *type)
{
	if (LB_FEW_WAYS)
		return lb_find_tags(data, type);
	*type = lb_load16(data + 12);
	return LB_UNLIKELY(lb_is_tag(*type)) ? lb_count_tags(data, type) : 0;
}

/* Ethernet and up to two tags. Sets pkt->ip to what follows; *type: its EtherType as it lies there. */
static LB_INLINE enum lb_step lb_parse_link(struct lb_pkt *pkt, const void *data, __u32 *type)
{
	const __u8 *pos = data;
	__u32 tags;

	if (pos + LB_ETH_LENGTH + 8 > (const __u8 *)pkt->end)
		return lb_pass(pkt, LB_REASON_malformed);
	tags = lb_forget(lb_tags(pos, type), pkt->frame_length) & 3;
	pkt->vlan[0] = lb_load32(pos + 12);
	pkt->vlan[1] = lb_load32(pos + 16);
	pkt->link_length = LB_ETH_LENGTH + (tags << 2);
	pos += pkt->link_length;
	if (pos > (const __u8 *)pkt->end)
		return lb_pass(pkt, LB_REASON_malformed);
	pkt->ip = pos;
	return LB_NEXT;
}

/* header: octets of the IP header and its extensions. */
static LB_INLINE enum lb_step lb_parse_udp(struct lb_pkt *pkt, __u32 header)
{
	const __u8 *pos = (const __u8 *)pkt->ip + header, *end = pkt->end;
	__u32 stated, least = LB_MIN_PAYLOAD;

	if (pos + LB_UDP_LENGTH > (const __u8 *)pkt->end)
		return lb_pass(pkt, LB_REASON_malformed);
	stated = lb_read16(pos + 4);
	if (stated < LB_UDP_LENGTH || stated > pkt->ip_length - header)
		return lb_pass(pkt, LB_REASON_malformed);
	pkt->udp = pos;
	pkt->payload_length = stated - LB_UDP_LENGTH;
	if (least && (pkt->payload_length < least || pos + LB_UDP_LENGTH + least > end))
		return lb_pass(pkt, LB_REASON_short_packet);
	return LB_NEXT;
}

static LB_INLINE enum lb_step lb_parse_ipv4(struct lb_pkt *pkt, __u32 *header)
{
	const __u8 *pos = pkt->ip;

	if (pos + LB_IPV4_LENGTH > (const __u8 *)pkt->end)
		return lb_pass(pkt, LB_REASON_malformed);
	*header = (pos[0] & 0x0f) << 2;
	if (pos[0] >> 4 != 4 || *header < LB_IPV4_LENGTH)
		return lb_pass(pkt, LB_REASON_malformed);
	pkt->ip_version = 4;
	pkt->traffic_class = pos[1];
	pkt->ip_length = lb_read16(pos + 2);
	pkt->ttl = pos[8];
	if (pkt->ip_length < *header || pkt->ip_length > pkt->frame_length - pkt->link_length)
		return lb_pass(pkt, LB_REASON_malformed);
	if (pos[9] != LB_PROTO_UDP)
		return lb_pass(pkt, LB_REASON_not_udp);
	if (lb_load16(pos + 6) & LB_CONST16(LB_IPV4_FRAGMENT))
		return lb_pass(pkt, LB_REASON_fragment);
	return LB_NEXT;
}

/* Headers that may stand between IPv6 and UDP (RFC 8200 section 4.1), but for the fragment header. */
static LB_INLINE int lb_is_extension(__u32 protocol)
{
	return protocol == LB_PROTO_HOPOPTS || protocol == LB_PROTO_ROUTING ||
	       protocol == LB_PROTO_DSTOPTS || protocol == LB_PROTO_AH;
}

/*
 * For the verifier only: without it, each way through the extension headers has a range of its own
 * and the rest of the program is walked once for each. offset is at most LB_MAX_IP_HEADERS already.
 */
static LB_INLINE __u32 lb_same_range(__u32 offset)
{
#ifdef __bpf__
	asm volatile("%0 &= 511" : "+r"(offset));
#endif
	return offset;
}

static LB_INLINE enum lb_step lb_parse_ipv6(struct lb_pkt *pkt, __u32 *header)
{
	const __u8 *ip = pkt->ip, *pos;
	__u32 next, left, length, offset = LB_IPV6_LENGTH;
	int i;

	if (ip + LB_IPV6_LENGTH > (const __u8 *)pkt->end || ip[0] >> 4 != 6)
		return lb_pass(pkt, LB_REASON_malformed);
	left = lb_read16(ip + 4);
	next = ip[6];
	pkt->ip_version = 6;
	pkt->traffic_class = (lb_read16(ip) >> 4) & 0xff;
	pkt->ip_length = left + LB_IPV6_LENGTH;
	pkt->ttl = ip[7];
	if (pkt->ip_length > pkt->frame_length - pkt->link_length)
		return lb_pass(pkt, LB_REASON_malformed);

	LB_NO_UNROLL
	for (i = 0; i < LB_MAX_EXTENSIONS; i++) {
		if (!lb_is_extension(next))
			break;
		pos = ip + offset;
		if (pos + 8 > (const __u8 *)pkt->end)
			return lb_pass(pkt, LB_REASON_malformed);
		/* Segments left: the VIP is a stop on the way, not where the packet goes. */
		if (next == LB_PROTO_ROUTING && pos[3])
			return lb_pass(pkt, LB_REASON_ip_options);
		length = next == LB_PROTO_AH ? (pos[1] + 2) << 2 : (pos[1] + 1) << 3;
		if (length > left)
			return lb_pass(pkt, LB_REASON_malformed);
		next = pos[0];
		left -= length;
		offset += length;
		if (offset > LB_MAX_IP_HEADERS)
			return lb_pass(pkt, LB_REASON_ip_options);
		offset = lb_same_range(offset);
	}
	if (next == LB_PROTO_FRAGMENT)
		return lb_pass(pkt, LB_REASON_fragment);
	if (LB_MAX_EXTENSIONS && lb_is_extension(next))
		return lb_pass(pkt, LB_REASON_ip_options);
	if (next != LB_PROTO_UDP)
		return lb_pass(pkt, LB_REASON_not_udp);
	*header = offset;
	return LB_NEXT;
}

/*
 * data to end: what may be read. frame_length: the frame's real length, which is more than that
 * where a frame lies in several pieces. On LB_NEXT pkt describes an unfragmented UDP datagram.
 */
static LB_INLINE enum lb_step lb_parse(struct lb_pkt *pkt, const void *data, const void *end,
				       __u32 frame_length)
{
	enum lb_step step;
	__u32 type, header;

	pkt->end = end;
	pkt->frame_length = frame_length;
	step = lb_parse_link(pkt, data, &type);
	if (step != LB_NEXT)
		return step;
	if (type == LB_CONST16(LB_ETHERTYPE_IPV4))
		step = lb_parse_ipv4(pkt, &header);
	else if (type == LB_CONST16(LB_ETHERTYPE_IPV6))
		step = lb_parse_ipv6(pkt, &header);
	else
		step = lb_pass(pkt, LB_REASON_not_ip);
	if (step != LB_NEXT)
		return step;
	/* IPv4 and IPv6, with extension headers or without: one way for the verifier to go on. */
	if (!LB_FEW_WAYS)
		header = lb_same_range(lb_forget(header, frame_length));
	pkt->shape = LB_SHAPE(pkt->link_length - 2, pkt->ip_version, pkt->ttl);
	return lb_parse_udp(pkt, header);
}

#endif
