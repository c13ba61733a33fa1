/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hash of a packet's 4-tuple, which picks the row of the fallback table. All datagrams of a
 * first flight share it; version and connection IDs stay out of it, for they may change (RFC 9368).
 */
#ifndef LB_TUPLE_H
#define LB_TUPLE_H

#include "lb/hash.h"
#include "lb/packet.h"

/* pkt: parsed. 0 if the addresses cannot be read, which a parsed packet's always can. */
static LB_INLINE __u32 lb_tuple_hash(const struct lb_pkt *pkt)
{
	const __u8 *ip = pkt->ip, *udp = pkt->udp;
	__u32 words[9];

	if (udp + 4 > (const __u8 *)pkt->end)
		return 0;
	if (pkt->ip_version == 4) {
		if (ip + 20 > (const __u8 *)pkt->end)
			return 0;
		words[0] = lb_load32(ip + 12);
		words[1] = lb_load32(ip + 16);
		words[2] = lb_load32(udp);
		return lb_hash_words(words, 3, LB_SEED_ROW).first;
	}
	if (ip + 40 > (const __u8 *)pkt->end)
		return 0;
	LB_UNROLL
	for (int i = 0; i < 8; i++)
		words[i] = lb_load32(ip + 8 + 4 * i);
	words[8] = lb_load32(udp);
	return lb_hash_words(words, 9, LB_SEED_ROW).first;
}

#endif
