/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the sender of a packet that is too long for the way to its server is told: ICMPv4's "fragmentation
 * needed" (RFC 792, RFC 1191) or ICMPv6's "packet too big" (RFC 4443 section 3.2), from the VIP's address. The
 * same for every tier: nothing here knows where a packet lies.
 */
#ifndef LB_TOO_BIG_H
#define LB_TOO_BIG_H

#include "lb/rewrite.h"

/*
 * Octets of the packet that are quoted, always as many: whoever sends QUIC wants to see his connection ID in
 * them (RFC 9000 section 14.2.1), and IPv4's header may have 60.
 */
#define LB_QUOTE       192
#define LB_ICMP_LENGTH 8

#define LB_PROTO_ICMP	1
#define LB_PROTO_ICMPV6 58

#define LB_ICMP4_UNREACHABLE   3
#define LB_ICMP4_TOO_BIG       4 /* a code of LB_ICMP4_UNREACHABLE */
#define LB_ICMP6_TOO_BIG       2
#define LB_ANSWER_TTL	       64
#define LB_ANSWER_CLASS	       0xc0 /* internetwork control, RFC 1812 section 4.3.2.5 */
#define LB_IPV4_LEAST_MTU      68
#define LB_IPV6_LEAST_MTU      1280
#define LB_TOO_BIG_HEADERS(ip) (((ip) == 4 ? LB_IPV4_LENGTH : LB_IPV6_LENGTH) + LB_ICMP_LENGTH)

/* Neither a group, nor everybody, nor nobody, nor oneself: RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e). */
static LB_INLINE int lb_is_unicast(const __u8 *address, __u32 ip_version)
{
	if (ip_version == 4)
		return address[0] && address[0] != 127 && address[0] < 224;
	if (address[0] == 0xff)
		return 0;
	/* ::, ::1, and IPv4's addresses in IPv6's clothes, which nobody has on a wire. */
	return lb_load64(address) ? 1 : 0;
}

/*
 * Whether the sender of a packet may be told: he is somebody, his packet may not be fragmented, and he can
 * heed it. ip: LB_QUOTE octets are readable. mtu: what he would be told.
 */
static LB_INLINE int lb_may_tell(const __u8 *ip, __u32 ip_version, __u32 mtu)
{
	if (mtu > 0xffff)
		return 0;
	if (ip_version == 4)
		return mtu >= LB_IPV4_LEAST_MTU && (lb_load16(ip + 6) & LB_CONST16(LB_IPV4_DF)) &&
		       lb_is_unicast(ip + 12, 4);
	return mtu >= LB_IPV6_LEAST_MTU && lb_is_unicast(ip + 8, 6);
}

/* The one's complement sum of 4 * n octets. */
static LB_INLINE __u32 lb_csum_words(const __u8 *at, __u32 n)
{
	__u64 sum = 0;

	LB_NO_UNROLL
	for (__u32 i = 0; i < n; i++)
		sum += lb_load32(at + 4 * i);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return lb_csum_fold(lb_csum_word((__u32)sum) + (__u32)(sum >> 32));
}

/*
 * The answer. at: LB_TOO_BIG_HEADERS() octets to be written, and behind them the first LB_QUOTE of the packet,
 * whose sender may be told.
 */
static LB_INLINE void lb_tell_ipv4(__u8 *at, __u32 mtu)
{
	const __u8 *quote = at + LB_TOO_BIG_HEADERS(4);
	__u8 *icmp = at + LB_IPV4_LENGTH;

	lb_store32(at, LB_BE32(0x45u << 24 | LB_ANSWER_CLASS << 16 |
			       (LB_TOO_BIG_HEADERS(4) + LB_QUOTE)));
	/* One that is never fragmented needs no identification (RFC 6864). */
	lb_store32(at + 4, LB_BE32(LB_IPV4_DF));
	lb_store32(at + 8, LB_BE32(LB_ANSWER_TTL << 24 | LB_PROTO_ICMP << 16));
	lb_store32(at + 12, lb_load32(quote + 16));
	lb_store32(at + 16, lb_load32(quote + 12));
	lb_store16(at + 10, ~lb_csum_words(at, LB_IPV4_LENGTH / 4));
	lb_store32(icmp, LB_BE32(LB_ICMP4_UNREACHABLE << 24 | LB_ICMP4_TOO_BIG << 16));
	lb_store32(icmp + 4, LB_BE32(mtu));
	lb_store16(icmp + 2, ~lb_csum_words(icmp, (LB_ICMP_LENGTH + LB_QUOTE) / 4));
}

static LB_INLINE void lb_tell_ipv6(__u8 *at, __u32 mtu)
{
	const __u8 *quote = at + LB_TOO_BIG_HEADERS(6);
	__u32 length = LB_ICMP_LENGTH + LB_QUOTE, sum;
	__u8 *icmp = at + LB_IPV6_LENGTH;

	lb_store32(at, LB_BE32(6u << 28 | LB_ANSWER_CLASS << 20));
	lb_store32(at + 4, LB_BE32(length << 16 | LB_PROTO_ICMPV6 << 8 | LB_ANSWER_TTL));
	lb_copy16(at + 8, quote + 24);
	lb_copy16(at + 24, quote + 8);
	lb_store32(icmp, LB_BE32(LB_ICMP6_TOO_BIG << 24));
	lb_store32(icmp + 4, LB_BE32(mtu));
	/* The addresses belong to the pseudo-header, and lie in front. */
	sum = lb_csum_words(at + 8, (32 + length) / 4) + LB_BE16(length) + LB_BE16(LB_PROTO_ICMPV6);
	lb_store16(icmp + 2, ~lb_csum_fold(sum));
}

#endif
