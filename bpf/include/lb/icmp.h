/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about packets that a VIP's servers sent: which of them each concerns, and what it looks like
 * on its way there. Compiles for BPF and, over tables in memory, for the host.
 *
 * The quoted packet went from the VIP to a client, so it names the VIP where others name the client. Its
 * long header's source connection ID is the server's own.
 */
#ifndef LB_ICMP_H
#define LB_ICMP_H

#include "lb/flow.h"
#include "lb/route.h"
#include "lb/too_big.h"

/* Unreachable, time exceeded, parameter problem; IPv6's packet too big is a type by itself. */
#define LB_ICMP4_ERRORS (1u << 3 | 1u << 11 | 1u << 12)
#define LB_ICMP6_ERRORS (1u << 1 | 1u << 2 | 1u << 3 | 1u << 4)
#define LB_IPV4_OFFSET	0x1fff /* of a fragment */
/* QUIC needs datagrams of 1200 octets (RFC 9000 section 14); IPv6 has no smaller link (RFC 8200 section 5). */
#define LB_ICMP4_LEAST_MTU (1200 + LB_IPV4_LENGTH + LB_UDP_LENGTH)

/* An error and what it quotes; all pointers have been held against the packet's end. */
struct lb_icmp {
	const __u8 *message; /* ICMP header, LB_ICMP_LENGTH octets */
	const __u8 *quote; /* IP header of the quoted packet */
	const __u8 *udp; /* UDP header of it, whole */
	__u32 payload_length; /* octets of its payload that are quoted */
};

/* ip: 40 octets are readable. Whether it is ICMP and no fragment. */
static LB_INLINE int lb_is_icmp(const __u8 *ip, __u32 ip_version)
{
	if (ip_version == 4)
		return ip[9] == LB_PROTO_ICMP &&
		       !(lb_load16(ip + 6) & LB_CONST16(LB_IPV4_FRAGMENT));
	return ip[6] == LB_PROTO_ICMPV6;
}

/* The message behind the IP header, if it is an error; else NULL. */
static LB_INLINE const __u8 *lb_icmp_error_of(const __u8 *ip, const void *end, __u32 ip_version)
{
	__u32 header = ip_version == 4 ? (ip[0] & 0x0f) << 2 : LB_IPV6_LENGTH;
	const __u8 *message = ip + header;
	__u32 errors = ip_version == 4 ? LB_ICMP4_ERRORS : LB_ICMP6_ERRORS;

	if (message + LB_ICMP_LENGTH > (const __u8 *)end ||
	    lb_ip_length(ip, ip_version) < header + LB_ICMP_LENGTH)
		return 0;
	return message[0] < 32 && errors >> message[0] & 1 ? message : 0;
}

/* An address of a packet as tables have it: LB_TO or LB_FROM. */
static LB_INLINE struct lb_table_key lb_address_key(const __u8 *ip, __u32 ip_version, __u32 side,
						    __u32 last)
{
	struct lb_table_key key = { .last = last };

	if (ip_version == 4) {
		key.first = lb_pair_of(lb_load32(ip + 12 + 4 * side), 0);
	} else {
		key.first = lb_load64(ip + 8 + 16 * side);
		key.second = lb_load64(ip + 16 + 16 * side);
	}
	return key;
}

/* Octets of the quoted IP header; 0: it is cut short, or no UDP datagram's beginning follows. */
static LB_INLINE __u32 lb_quoted_header(const __u8 *quote, const void *end, __u32 ip_version)
{
	__u32 header = LB_IPV6_LENGTH;

	if (quote + LB_IPV4_LENGTH + LB_UDP_LENGTH > (const __u8 *)end ||
	    quote[0] >> 4 != ip_version)
		return 0;
	if (ip_version == 4) {
		header = (quote[0] & 0x0f) << 2;
		if (header < LB_IPV4_LENGTH || quote[9] != LB_PROTO_UDP ||
		    lb_load16(quote + 6) & LB_CONST16(LB_IPV4_OFFSET))
			return 0;
	} else if (quote + LB_IPV6_LENGTH > (const __u8 *)end || quote[6] != LB_PROTO_UDP) {
		return 0;
	}
	return header;
}

/* Finds the quoted packet behind icmp->message. 0: it is no UDP datagram, or too little is quoted. */
static LB_INLINE int lb_icmp_quote(struct lb_icmp *icmp, const __u8 *ip, const void *end,
				   __u32 ip_version)
{
	__u32 front = (__u32)(icmp->message - ip) + LB_ICMP_LENGTH, header, stated;
	__u32 length = lb_ip_length(ip, ip_version);

	icmp->quote = icmp->message + LB_ICMP_LENGTH;
	header = lb_quoted_header(icmp->quote, end, ip_version);
	if (!header)
		return 0;
	icmp->udp = icmp->quote + header;
	front += header + LB_UDP_LENGTH;
	if (icmp->udp + LB_UDP_LENGTH > (const __u8 *)end || length < front)
		return 0;
	icmp->payload_length = length - front;
	stated = lb_read16(icmp->udp + 4);
	if (stated < LB_UDP_LENGTH)
		return 0;
	if (icmp->payload_length > stated - LB_UDP_LENGTH)
		icmp->payload_length = stated - LB_UDP_LENGTH;
	return 1;
}

/* The packet's destination is where the quoted one came from: else nobody on the way sent it. */
static LB_INLINE int lb_icmp_is_back(const struct lb_icmp *icmp, const __u8 *ip, const void *end,
				     __u32 ip_version)
{
	if (ip_version == 4)
		return lb_load32(ip + 16) == lb_load32(icmp->quote + 12);
	return LB_STILL_READABLE(end, icmp->quote, LB_IPV6_LENGTH) &&
	       lb_load64(ip + 24) == lb_load64(icmp->quote + 8) &&
	       lb_load64(ip + 32) == lb_load64(icmp->quote + 16);
}

/*
 * Whether it names an MTU that no link has, that no QUIC fits, or that the quoted packet did not exceed: a
 * server that believed it would send less than it could, or nothing.
 */
static LB_INLINE int lb_icmp_is_absurd(const struct lb_icmp *icmp, __u32 ip_version)
{
	const __u8 *message = icmp->message;
	__u32 mtu, least = LB_ICMP4_LEAST_MTU;

	if (ip_version == 4) {
		if (message[0] != LB_ICMP4_UNREACHABLE || message[1] != LB_ICMP4_TOO_BIG)
			return 0;
		mtu = lb_read16(message + 6);
	} else {
		if (message[0] != LB_ICMP6_TOO_BIG)
			return 0;
		mtu = LB_BE32(lb_load32(message + 4));
		least = LB_IPV6_LEAST_MTU;
	}
	return mtu < least || mtu >= lb_ip_length(icmp->quote, ip_version);
}

/* The source connection ID of a quoted long header. 0: there is none, or it is not quoted as a whole. */
static LB_INLINE int lb_icmp_scid(const struct lb_icmp *icmp, const void *end, struct lb_dcid *scid)
{
	const __u8 *payload = icmp->udp + LB_UDP_LENGTH, *at;
	__u32 dcid;

	if (icmp->payload_length <= LB_QUIC_LONG_MIN ||
	    payload + LB_QUIC_LONG_MIN > (const __u8 *)end || !(payload[0] & 0x80))
		return 0;
	dcid = payload[5];
	at = payload + LB_QUIC_LONG_MIN + dcid;
	if (at + 2 > (const __u8 *)end)
		return 0;
	scid->octets = at + 1;
	scid->length = at[0];
	scid->is_long = 1;
	return scid->length && LB_QUIC_LONG_MIN + dcid + 1 + scid->length <= icmp->payload_length;
}

/* lb_tuple_hash64() of the packets that the quoted one answered: its addresses and ports change places. */
static LB_INLINE __u64 lb_icmp_hash(const struct lb_icmp *icmp, const void *end, __u32 ip_version)
{
	const __u8 *ip = icmp->quote;
	__u32 ports = lb_load32(icmp->udp);
	__u64 first, second = 0;

	if (ip_version == 4) {
		first = lb_pair_of(lb_load32(ip + 16), lb_load32(ip + 12));
	} else {
		if (!LB_STILL_READABLE(end, ip, LB_IPV6_LENGTH))
			return 0;
		first = lb_load64(ip + 8) + lb_load64(ip + 24);
		second = lb_load64(ip + 16) + lb_load64(ip + 32);
	}
	return lb_hash(first, second, ports << 16 | ports >> 16);
}

/* Whose packet is quoted, by its connection ID. 0: that does not say. */
static LB_INLINE __u32 lb_icmp_by_cid(void *ctx, const struct lb_icmp *icmp, const void *end,
				      const struct lb_generation *generation, __u32 vip)
{
	struct lb_dcid scid;

	if (!lb_icmp_scid(icmp, end, &scid))
		return 0;
	return LB_ROUTE_SERVER(lb_dcid_route(ctx, &scid, end, generation, LB_VIP_POOL(vip), 0));
}

/* By the row of its flow, whose hash this is. 0: nobody's. */
static LB_INLINE __u32 lb_icmp_by_row(__u32 hash, const struct lb_generation *generation, __u32 vip)
{
	return LB_ROUTE_SERVER(lb_row_route(hash, generation, LB_VIP_POOL(vip), 0));
}

/*
 * Where conn_track has its flow, by the tuple. Returns a hash of the client's connection ID if the quote has
 * it, which another connection with the same tuple does not share, else 0.
 */
static LB_INLINE __u32 lb_icmp_flow(struct lb_flow_key *key, const struct lb_icmp *icmp,
				    const void *end, __u32 ip_version, __u32 vip)
{
	const __u8 *payload = icmp->udp + LB_UDP_LENGTH;

	key->of = LB_FLOW_OF(LB_FLOW_TUPLE, LB_VIP_NUMBER(vip), ip_version);
	key->word[4] = LB_FLOW_PORT(lb_load16(icmp->udp + 2), 0);
	if (ip_version == 4) {
		key->word[0] = lb_load32(icmp->quote + 16);
		key->word[1] = key->word[2] = key->word[3] = 0;
	} else if (LB_STILL_READABLE(end, icmp->quote, LB_IPV6_LENGTH)) {
		for (int i = 0; i < 4; i++)
			key->word[i] = lb_load32(icmp->quote + 24 + 4 * i);
	}
	if (icmp->payload_length <= LB_QUIC_LONG_MIN ||
	    payload + LB_QUIC_LONG_MIN > (const __u8 *)end || !(payload[0] & 0x80) ||
	    LB_QUIC_LONG_MIN + (__u32)payload[5] > icmp->payload_length)
		return 0;
	return lb_flow_scid(payload + LB_QUIC_LONG_MIN - 1, end);
}

/*
 * What a packet is that is not UDP: LB_REASON_icmp if it concerns a server, or why it is passed. *vip: vip_map's
 * value if it quotes a VIP's packet, else 0. ip: of a packet that is as long as it says.
 */
static LB_INLINE enum lb_reason lb_icmp_find(struct lb_icmp *icmp, const __u8 *ip, const void *end,
					     __u32 ip_version,
					     const struct lb_generation *generation,
					     const struct lb_setting *setting, __u32 *vip)
{
	struct lb_table_key key;

	*vip = 0;
	/* IPv4's shortest error is longer than that. */
	if (ip + 40 > (const __u8 *)end || !lb_is_icmp(ip, ip_version))
		return LB_REASON_not_udp;
	icmp->message = lb_icmp_error_of(ip, end, ip_version);
	if (!icmp->message)
		return LB_REASON_not_udp;
	key = lb_address_key(ip, ip_version, LB_TO, LB_ADDRESS_KEY(ip_version));
	if (!lb_table_find(&address_map, &key, &setting->address_base))
		return LB_REASON_not_udp;
	if (!lb_icmp_quote(icmp, ip, end, ip_version) ||
	    !lb_icmp_is_back(icmp, ip, end, ip_version))
		return LB_REASON_icmp_unrelated;
	key.last = LB_VIP_KEY(ip_version, lb_load16(icmp->udp));
	*vip = lb_table_find(&vip_map, &key, &generation->vip_base);
	if (!*vip)
		return LB_REASON_icmp_unrelated;
	return lb_icmp_is_absurd(icmp, ip_version) ? LB_REASON_icmp_absurd : LB_REASON_icmp;
}

/*
 * As lb_packet_sum(), of an ICMP packet with that many hops left: IPv4's header and the message add up to
 * nothing each, ICMPv6's does with its pseudo-header. Never 0.
 */
static LB_INLINE __u32 lb_icmp_sum(const __u8 *ip, __u32 ip_version, __u32 hops)
{
	__u32 sum = 0xffff;

	if (ip_version == 4)
		return sum;
	return sum + lb_csum_word(lb_load32(ip)) + LB_BE16(LB_PROTO_ICMPV6 << 8 | hops) +
	       (__u16)~LB_BE16(LB_PROTO_ICMPV6);
}

/* Of what lb_readdress() changes in a quoted packet. */
static LB_INLINE __u32 lb_quote_sum(const __u8 *quote, const __u8 *udp, __u32 ip_version)
{
	__u32 sum = lb_csum_word(lb_load32(udp)) + lb_load16(udp + 6);

	if (ip_version == 4)
		return sum + lb_csum_word(lb_load32(quote + 12)) + lb_load16(quote + 10);
	for (int i = 0; i < 4; i++)
		sum += lb_csum_word(lb_load32(quote + 8 + 4 * i));
	return sum;
}

/*
 * To a server of mode nat, which knows nothing of the VIP: outside it is addressed, inside it is quoted. All
 * checksums are as right or wrong as before.
 */
static LB_INLINE void lb_icmp_readdress(__u8 *ip, __u8 *message, __u8 *quote, __u8 *udp,
					__u32 ip_version, const struct lb_server *server)
{
	__u32 before = lb_quote_sum(quote, udp, ip_version), port = server->port, sum;
	const __u32 *address = server->destination;

	lb_readdress(quote, udp, ip_version, LB_FROM, address, server->checksum,
		     port ? port : lb_load16(udp));
	sum = lb_quote_sum(quote, udp, ip_version);
	before = (__u16)~lb_csum_fold(before);
	if (ip_version == 4) {
		__u32 changed = server->checksum + lb_csum_word(~lb_load32(ip + 16));

		lb_store16(ip + 10, ~lb_csum_fold((__u16)~lb_load16(ip + 10) + changed));
		lb_store32(ip + 16, address[0]);
	} else {
		sum += server->checksum;
		for (int i = 0; i < 4; i++)
			sum += lb_csum_word(~lb_load32(ip + 24 + 4 * i));
		lb_copy16(ip + 24, address);
	}
	sum += before + (__u16)~lb_load16(message + 2);
	lb_store16(message + 2, ~lb_csum_fold(sum));
}

#endif
