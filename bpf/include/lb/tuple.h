/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers made of a packet's 4-tuple: the hash that picks the row of the fallback table, and the flow
 * label of an outer header. All datagrams of a first flight share them; version and connection IDs
 * stay out of them, for they may change (RFC 9368).
 */
#ifndef LB_TUPLE_H
#define LB_TUPLE_H

#include "lb/hash.h"
#include "lb/packet.h"

/*
 * IPv6's addresses are added up, the source to the destination, which is one of few. ip, udp: of a parsed
 * packet. 0 if the addresses cannot be read, which a parsed packet's always can.
 */
static LB_INLINE __u64 lb_tuple_hash64(const __u8 *ip, const __u8 *udp, const void *end)
{
	__u64 first, second = 0;

	if (!LB_STILL_READABLE(end, udp, 4))
		return 0;
	if (!LB_STILL_READABLE(end, ip, 20))
		return 0;
	if (ip[0] >> 4 == 4) {
		first = lb_load64(ip + 12);
	} else {
		if (ip + 40 > (const __u8 *)end)
			return 0;
		first = lb_load64(ip + 8) + lb_load64(ip + 24);
		second = lb_load64(ip + 16) + lb_load64(ip + 32);
	}
	return lb_hash(first, second, lb_load32(udp));
}

static LB_INLINE __u32 lb_tuple_hash(const __u8 *ip, const __u8 *udp, const void *end)
{
	return (__u32)lb_tuple_hash64(ip, udp, end);
}

/*
 * 20 bits for whoever spreads load behind us by the outer header (RFC 6438), made of the ports and of
 * a word that both versions have in the source address: IPv4's all of it, IPv6's the second, where
 * networks differ. The hash would be better spread, and is more than a card has room for.
 */
static LB_INLINE __u32 lb_flow_label(const __u8 *ip, const __u8 *udp)
{
	__u32 word = LB_BE32(lb_load32(udp) ^ lb_load32(ip + 12));

	return (word ^ word >> 12) & 0xfffff;
}

#endif
