/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which server a VIP's packet goes to: by its connection ID, else by the row of its 4-tuple. Compiles
 * for BPF and, over tables in memory, for the host.
 */
#ifndef LB_ROUTE_H
#define LB_ROUTE_H

#include "lb/cid.h"
#include "lb/cid_cache.h"
#include "lb/maps.h"
#include "lb/table.h"
#include "lb/tuple.h"
#include "lb/vip.h"

/*
 * A CID without a key. A clear one's server id is looked up as it lies there; an encrypted one as a whole,
 * for user space may have told us what it stands for. cid: 1 + LB_CID_MAX octets are readable, for both
 * are compared in whole words. index: LB_CID_INDEX().
 */
static LB_SUB __u32 lb_route_by_match(const __u8 *cid, const struct lb_cid_config *config,
				      const struct lb_generation *generation, __u32 index)
{
	__u32 clear = config->algorithm == LB_CID_CLEAR;
	__u32 config_id = index & LB_CONFIG_RESERVED, server;
	const lb_pair *match = (const lb_pair *)config->match;
	union {
		struct lb_conn_key key;
		lb_pair pair[2];
	} conn;

	cid += clear;
	conn.pair[0] = lb_load64(cid) & match[0];
	conn.pair[1] = lb_load64(cid + 8) & match[1];
	if (clear) {
		server = lb_table_search(&sid_map, lb_place(&generation->sid_base), conn.pair[0],
					 conn.pair[1], LB_SID_KEY(index >> 3, config_id));
		return LB_ROUTE(server, server ? LB_REASON_cid : LB_REASON_hash_unknown_server_id,
				config_id);
	}
	conn.key.cid[4] = lb_load32(cid + 16) & config->match[4];
	conn.key.config = index;
	conn.key.tag = config->tag;
	server = lb_known_server(&conn.key);
	return LB_ROUTE(server, server ? LB_REASON_known_cid : LB_REASON_needs_key, config_id);
}

/* The server that a server id names. words: of it, and room for one more. */
static LB_INLINE __u32 lb_route_by_words(__u32 *words, __u64 sids, __u32 index)
{
	struct lb_table_key sid;
	__u32 server;

	words[4] = LB_SID_KEY(index >> 3, index & LB_CONFIG_RESERVED);
	sid = lb_table_key(words);
	server = lb_table_search(&sid_map, sids, sid.first, sid.second, sid.last);
	return server ? LB_ROUTE(server, LB_REASON_cid, index & LB_CONFIG_RESERVED) :
			LB_ROUTE(0, LB_REASON_hash_unknown_server_id, 0);
}

/* cid: the first octet. key: of an encrypted config. sids: lb_place() of the server ids. */
static LB_INLINE __u32 lb_route_by_server_id(const __u8 *cid, const void *end,
					     const struct lb_cid_config *config,
					     const struct lb_cid_key *key, __u64 sids, __u32 index)
{
	__u32 words[LB_KEY_WORDS];
	enum lb_reason reason = lb_cid_server_id(config, key, cid, end, words);

	return reason == LB_REASON_cid ? lb_route_by_words(words, sids, index) :
					 LB_ROUTE(0, reason, 0);
}

#if LB_MAY_AES && defined(__bpf__)
/*
 * An encrypted CID: a function of its own, which the verifier walks once and not on each way that leads here, and
 * whose frame is not in the way of the CIDs that are clear. lead: octets of the frame before LB_CID_LEAD; place: of the key.
 */
_Static_assert(LB_ETH_LENGTH + 8 + LB_MAX_IP_HEADERS + LB_UDP_LENGTH + LB_QUIC_LONG_MIN < 1024,
	       "lead is cut to ten bits");
__noinline __u32 lb_cid_decipher(struct xdp_md *ctx, __u32 lead, __u32 place, __u64 sids,
				 __u32 index)
{
	const __u8 *at = (const __u8 *)(long)ctx->data + (lead & 1023);
	const struct lb_cid_key *key = lb_cid_key(place);
	__u32 words[LB_KEY_WORDS];

	if (!key || !lb_cid_decrypt(key, at, (void *)(long)ctx->data_end, words))
		return LB_ROUTE(0, LB_REASON_hash_short_dcid, 0);
	return lb_route_by_words(words, sids, index);
}

/* Where p lies in the frame. In 64 bits: clang would halve a pointer, and the verifier lets nobody spill a half. */
static LB_INLINE __u32 lb_offset(struct xdp_md *ctx, const __u8 *p)
{
	long data = (long)ctx->data, at = (long)p;

	LB_OPAQUE(data);
	LB_OPAQUE(at);
	at -= data;
	LB_OPAQUE(at);
	return (__u32)at;
}

/* Where its cached server would stand. NULL: nobody asks. */
static LB_INLINE struct lb_cached_cid *lb_cache_of(const struct lb_cid_words *cid,
						   const struct lb_generation *generation,
						   struct lb_cid_cache_state **state)
{
	*state = generation->cache_pages ? lb_cache_asks() : NULL;
	return *state ? lb_cache_set(cid, generation->cache_pages - 1) : NULL;
}

/* The same, unless this CPU has decoded it lately. What somebody quotes is not asked for. */
static LB_INLINE __u32 lb_route_encrypted(struct xdp_md *ctx, const __u8 *cid, const void *end,
					  const struct lb_cid_config *config,
					  const struct lb_generation *generation, __u32 index,
					  int counts)
{
	__u32 lead = lb_offset(ctx, cid + 1 - LB_CID_LEAD), route;
	__u64 sids = lb_place(&generation->sid_base), of = lb_pair_of(generation->number, index);
	struct lb_cached_cid *cached = NULL;
	struct lb_cid_cache_state *state;
	struct lb_cid_words words = {};
	__u32 server;

	if (counts && cid + LB_CID_MAX <= (const __u8 *)end) {
		words = lb_cid_words(cid, config);
		cached = lb_cache_of(&words, generation, &state);
	}
	if (cached) {
		server = lb_cache_find(cached, &words, of);
		if (LB_LIKELY(server)) {
			state->found++;
			return LB_ROUTE(server, LB_REASON_cid, index & LB_CONFIG_RESERVED);
		}
		cached += ++state->missed & 1;
	}
	route = lb_cid_decipher(ctx, lead, generation->config_base + index, sids, index);
	if (cached && LB_ROUTE_SERVER(route))
		lb_cache_put(cached, &words, of, LB_ROUTE_SERVER(route));
	return route;
}
#else
/* Where there is no program around it, and no cache. */
static LB_INLINE __u32 lb_route_encrypted(void *ctx, const __u8 *cid, const void *end,
					  const struct lb_cid_config *config,
					  const struct lb_generation *generation, __u32 index,
					  int counts)
{
	(void)ctx;
	(void)counts;
	return lb_route_by_server_id(cid, end, config, lb_cid_key(generation->config_base + index),
				     lb_place(&generation->sid_base), index);
}
#endif

/*
 * On the host. ctx: the packet's, of an XDP program. counts: a packet's own CID, which shows that the config is in use;
 * else one that somebody quotes.
 */
static LB_INLINE __u32 lb_route_by_config(void *ctx, const struct lb_dcid *dcid, const void *end,
					  const struct lb_cid_config *config,
					  const struct lb_generation *generation, __u32 index,
					  int counts)
{
	__u32 route;

	if (config->algorithm != LB_CID_CLEAR)
		route = lb_route_encrypted(ctx, dcid->octets, end, config, generation, index,
					   counts);
	else
		route = lb_route_by_server_id(dcid->octets, end, config, NULL,
					      lb_place(&generation->sid_base), index);
	route = lb_forget(route, index);
	if (counts && LB_ROUTE_SERVER(route))
		lb_cid_seen(index, config, dcid->octets, end);
	return route;
}

/*
 * By a connection ID, which is readable to its first octet: of the config that this one names. counts: whether
 * the config is in use by that.
 */
static LB_INLINE __u32 lb_dcid_route(void *ctx, const struct lb_dcid *dcid, const void *end,
				     const struct lb_generation *generation, __u32 pool, int counts)
{
	const struct lb_cid_config *config;
	__u32 config_id, index, place;
	enum lb_reason reason;

	if (!LB_MAY_AES && dcid->octets + 1 + LB_CID_MAX > (const __u8 *)end)
		return lb_no_route(LB_REASON_short_packet);
	config_id = lb_cid_config_id(dcid->octets[0]);
	if (config_id == LB_CONFIG_RESERVED)
		return lb_no_route(LB_REASON_hash_reserved_config);
	LB_EXPECT(pool, 1);
	index = LB_CID_INDEX(pool, config_id);
	place = generation->config_base + index;
	config = bpf_map_lookup_elem(&cid_config_map, &place);
	if (!config)
		return lb_no_route(LB_REASON_hash_unknown_config);
	reason = lb_cid_check(config, dcid);
	if (reason != LB_REASON_cid)
		return lb_no_route(reason);
	return LB_MAY_AES ? lb_route_by_config(ctx, dcid, end, config, generation, index, counts) :
			    lb_route_by_match(dcid->octets, config, generation, index);
}

static LB_INLINE __u32 lb_payload_route(void *ctx, const __u8 *payload, __u32 payload_length,
					const void *end, const struct lb_generation *generation,
					__u32 pool)
{
	struct lb_dcid dcid;

	if (!lb_quic_dcid(payload, payload_length, end, &dcid) || dcid.octets + 1 > (__u8 *)end)
		return lb_no_route(LB_REASON_hash_no_dcid);
	return lb_dcid_route(ctx, &dcid, end, generation, pool, 1);
}

/* By the UDP payload's connection ID, where there is no XDP program around it. */
static LB_SUB __u32 lb_cid_route(const __u8 *payload, __u32 payload_length, const void *end,
				 const struct lb_generation *generation, __u32 pool)
{
	return lb_payload_route(NULL, payload, payload_length, end, generation, pool);
}

/* A routable CID decides alone: no state of its connection is read or written for it. */
static LB_INLINE enum lb_step lb_route_by_cid(struct lb_pkt *pkt)
{
	pkt->route = lb_payload_route(pkt->ctx, (const __u8 *)pkt->udp + LB_UDP_LENGTH,
				      pkt->payload_length, pkt->end, pkt->generation,
				      LB_VIP_POOL(pkt->vip));
	return LB_ROUTE_SERVER(pkt->route) ? LB_FORWARD : LB_NEXT;
}

/* The server in the row of a packet's 4-tuple, and why the CID did not decide. */
static LB_INLINE __u32 lb_row_route(__u32 hash, const struct lb_generation *generation, __u32 pool,
				    __u32 route)
{
	__u32 mask = generation->row_mask;
	__u32 key = generation->row_base + pool * (mask + 1) + (hash & mask);
	const __u32 *row = bpf_map_lookup_elem(&row_map, &key);

	if (!row || !*row)
		return LB_ROUTE(0, LB_REASON_no_server, 0);
	return LB_ROUTE(*row, LB_ROUTE_REASON(route), 0);
}

/* The last resort. */
static LB_INLINE enum lb_step lb_route_by_tuple(struct lb_pkt *pkt)
{
	/* Kernels from 6.13 follow constant keys of arrays, and would walk on once for each reason. */
	__u32 route = lb_forget(pkt->route, pkt->frame_length);

	if (!LB_MAY_TRACK)
		pkt->hash = lb_tuple_hash(pkt->ip, pkt->udp, pkt->end);
	pkt->route = lb_row_route((__u32)pkt->hash, pkt->generation, LB_VIP_POOL(pkt->vip), route);
	return LB_ROUTE_SERVER(pkt->route) ? LB_FORWARD : LB_PASS;
}

/* Both of them on a card, which leaves some packets with a CID to the host: by the reasons' order. */
_Static_assert(LB_REASON_needs_key < LB_REASON_cid && LB_REASON_short_packet < LB_REASON_cid &&
		       LB_REASON_hash_no_dcid > LB_REASON_known_cid,
	       "what passes stands before what forwards");
static LB_SUB __u32 lb_card_route(const __u8 *ip, const __u8 *udp, const void *end,
				  const struct lb_generation *generation, __u32 vip)
{
	__u32 route = lb_cid_route(udp + LB_UDP_LENGTH, lb_read16(udp + 4) - LB_UDP_LENGTH, end,
				   generation, LB_VIP_POOL(vip));

	if (LB_ROUTE_SERVER(route) || LB_ROUTE_REASON(route) < LB_REASON_cid)
		return route;
	return lb_row_route(lb_tuple_hash(ip, udp, end), generation, LB_VIP_POOL(vip), route);
}

static LB_INLINE enum lb_step lb_route_on_card(struct lb_pkt *pkt)
{
	pkt->route = lb_card_route(pkt->ip, pkt->udp, pkt->end, pkt->generation, pkt->vip);
	return LB_ROUTE_SERVER(pkt->route) ? LB_FORWARD : LB_PASS;
}

#endif
