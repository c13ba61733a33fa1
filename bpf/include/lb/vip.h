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

	if (!meta || meta->magic != LB_MAGIC)
		return lb_pass(pkt, LB_REASON_no_config);
	key = meta->active;
	pkt->generation = bpf_map_lookup_elem(&generation_map, &key);
	if (!pkt->generation || !pkt->generation->number)
		return lb_pass(pkt, LB_REASON_no_config);
	return LB_NEXT;
}

/* A table's value for the key, 0 if it holds none. */
static LB_INLINE __u32 lb_table_find(void *map, const struct lb_table_key *key, __u32 base,
				     __u32 mask)
{
	struct lb_hash hash = lb_table_buckets(key, mask);
	const struct lb_bucket *bucket;
	__u32 value = 0, index;

	index = base + hash.first;
	bucket = bpf_map_lookup_elem(map, &index);
	if (bucket)
		value = lb_bucket_find(bucket, key);
	if (value)
		return value;
	index = base + hash.second;
	bucket = bpf_map_lookup_elem(map, &index);
	return bucket ? lb_bucket_find(bucket, key) : 0;
}

static LB_INLINE enum lb_step lb_find_vip(struct lb_pkt *pkt)
{
	const __u8 *ip = pkt->ip, *udp = pkt->udp;
	struct lb_table_key key = {};
	__u32 value;

	if (pkt->ip_version == 4) {
		if (ip + 20 > (const __u8 *)pkt->end)
			return lb_pass(pkt, LB_REASON_malformed);
		key.word[0] = lb_load32(ip + 16);
	} else {
		if (ip + 40 > (const __u8 *)pkt->end)
			return lb_pass(pkt, LB_REASON_malformed);
		key.word[0] = lb_load32(ip + 24);
		key.word[1] = lb_load32(ip + 28);
		key.word[2] = lb_load32(ip + 32);
		key.word[3] = lb_load32(ip + 36);
	}
	if (udp + 8 > (const __u8 *)pkt->end)
		return lb_pass(pkt, LB_REASON_malformed);
	key.word[4] = LB_VIP_KEY(pkt->ip_version, *(const __u16 *)(udp + 2));

	value = lb_table_find(&vip_map, &key, pkt->generation->vip_base, pkt->generation->vip_mask);
	if (!value)
		return lb_pass(pkt, LB_REASON_not_vip);
	pkt->vip = LB_VIP_NUMBER(value);
	pkt->pool = LB_VIP_POOL(value);
	return LB_NEXT;
}

#endif
