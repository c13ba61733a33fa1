/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which generation of the tables counts, and which VIP a packet is for: the two steps that XDP and
 * TC share.
 */
#ifndef LB_VIP_H
#define LB_VIP_H

#include "lb/maps.h"
#include "lb/packet.h"
#include "lb/table.h"

/* The one read of the word that turns all tables at once. */
static LB_INLINE enum lb_step lb_begin(struct lb_pkt *pkt)
{
	__u32 key = 0;
	const struct lb_meta *meta = bpf_map_lookup_elem(&meta_map, &key);

	if (!meta)
		return lb_pass(pkt, LB_REASON_no_config);
	key = meta->active;
	pkt->generation = bpf_map_lookup_elem(&generation_map, &key);
	if (!pkt->generation || !pkt->generation->number)
		return lb_pass(pkt, LB_REASON_no_config);
	return LB_NEXT;
}

/* place: lb_place(). The key in three registers, for a card's stack is dear. */
static LB_SUB __u32 lb_table_search(void *map, __u64 place, __u64 first, __u64 second, __u64 last)
{
	const struct lb_table_key key = { first, second, (__u32)last };
	struct lb_buckets at = lb_table_buckets(&key, lb_pair_high(place));
	__u32 value = 0, index = lb_pair_low(place) + at.first;
	const struct lb_bucket *bucket;

	LB_LOOP
	for (int i = 0; i < 2; i++) {
		bucket = bpf_map_lookup_elem(map, &index);
		if (bucket)
			value = lb_bucket_find(bucket, &key);
		if (value)
			break;
		index = lb_pair_low(place) + at.second;
	}
	return value;
}

/* Where a generation's table lies: base and mask, which stand side by side in it. */
static LB_INLINE __u64 lb_place(const __u32 *base)
{
	return *(const lb_pair *)base;
}

/* A table's value for the key, 0 if it holds none. */
static LB_INLINE __u32 lb_table_find(void *map, const struct lb_table_key *key, const __u32 *base)
{
	return lb_table_search(map, lb_place(base), key->first, key->second, key->last);
}

/* vip_map's value for where a packet is addressed to, 0: no VIP, or it cannot be read. */
static LB_SUB __u32 lb_vip_of(const __u8 *ip, const __u8 *udp, const void *end, __u32 ip_version,
			      const struct lb_generation *generation)
{
	struct lb_table_key key = {};

	if (!LB_STILL_READABLE(end, udp, 8))
		return 0;
	key.last = LB_VIP_KEY(ip_version, *(const __u16 *)(udp + 2));
	if (ip_version == 4) {
		if (!LB_STILL_READABLE(end, ip, 20))
			return 0;
		key.first = lb_pair_of(lb_load32(ip + 16), 0);
	} else {
		if (!LB_STILL_READABLE(end, ip, 40))
			return 0;
		key.first = lb_load64(ip + 24);
		key.second = lb_load64(ip + 32);
	}
	return lb_table_find(&vip_map, &key, &generation->vip_base);
}

static LB_INLINE enum lb_step lb_find_vip(struct lb_pkt *pkt)
{
	pkt->vip = lb_vip_of(pkt->ip, pkt->udp, pkt->end, pkt->ip_version, pkt->generation);
	return pkt->vip ? LB_NEXT : lb_pass(pkt, LB_REASON_not_vip);
}

#endif
