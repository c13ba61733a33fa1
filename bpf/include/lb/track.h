/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * conn_track: packets whose connection ID is unroutable stay at the server that their flow went to first.
 *
 * A flow is asked for by its tuple; where that leads to another connection, by SCID or DCID (QUIC-LB section
 * 4.2). A DCID is looked up for short headers alone: as long as they are long, a client's address stays
 * (RFC 9000 section 9). What is in the map is changed in place, never by an update, which would take the
 * LRU's lock; and nothing that has not expired is given to another server.
 */
#ifndef LB_TRACK_H
#define LB_TRACK_H

#include "lb/budget.h"
#include "lb/flow.h"
#include "lb/recent.h"
#include "lb/route.h"

static LB_INLINE int lb_recent_has(const struct lb_setting *setting, __u64 hash, __u32 now)
{
	__u32 index = LB_RECENT_INDEX(hash, setting->flow_mask);
	const struct lb_recent *line = bpf_map_lookup_elem(&flow_recent_map, &index);

	return line &&
	       lb_recent_met(line, hash, lb_recent_time(setting, now), setting->recent_life);
}

/* Walked by the verifier once, and not wherever a flow is met. times: wanted, time and life, an octet each. */
__noinline __u32 lb_recent_put(__u32 index, __u64 hash, __u32 times)
{
	struct lb_recent *line = bpf_map_lookup_elem(&flow_recent_map, &index);

	if (line)
		lb_recent_meet(line, hash, times & 0xff, times >> 8 & 0xff, times >> 16 & 0xff);
	return 0;
}

/* A flow has been met, and is now remembered for `patience`. */
static LB_INLINE void lb_recent_keep(const struct lb_setting *setting, __u64 hash, __u32 now,
				     __u32 patience)
{
	lb_recent_put(LB_RECENT_INDEX(hash, setting->flow_mask), hash,
		      lb_recent_time(setting, now + patience) | lb_recent_time(setting, now) << 8 |
			      setting->recent_life << 16);
}

/* Flows are counted here, and octets are nobody's. */
static LB_INLINE void lb_flow_count(__u32 counter)
{
	lb_count(&flow_stats, counter, 0);
}

/* Whether this CPU may remember one more flow of the VIP now; if not, flow_stats says why. */
static LB_INLINE int lb_afford(const struct lb_setting *setting, __u32 vip, __u32 now)
{
	struct lb_flow_budget *all = lb_budget(setting, 0, now), *share;
	__u32 why = LB_FLOW_COUNT_over_share;

	if (!all)
		return 0;
	if (all->used >= setting->flow_inserts) {
		why = LB_FLOW_COUNT_over_budget;
		goto refused;
	}
	if (all->used >= setting->room && (__s32)(setting->room_until - now) > 0) {
		why = LB_FLOW_COUNT_full;
		goto refused;
	}
	share = lb_budget(setting, vip, now);
	if (!share || share->used >= setting->vip_inserts)
		goto refused;
	all->used++;
	share->used++;
	return 1;
refused:
	lb_flow_count(why);
	return 0;
}

/*
 * Two functions that the verifier walks by themselves, called where conn_track is asked or added to. They
 * read the packet anew: what they are told fits in registers, and their frames have to be small, for the
 * one that calls them decodes connection IDs.
 */
#define LB_TRACK_AT(ip, udp)	   ((__u32)(ip) | (__u32)(udp) << 8) /* octets of the frame before them */
#define LB_TRACK_HOW(half, server) ((half) | (server) << 8)
#define LB_TRACK_ADD(kind, flags)  ((kind) | (flags) << 2) /* a flow that is to be added; 0: none */
#define LB_TRACK_ADD_KIND(add)	   ((add)&3)
#define LB_TRACK_ADD_FLAGS(add)	   ((add) >> 2 & 3)

struct lb_track {
	const struct lb_setting *setting;
	__u32 now; /* jiffies */
	struct lb_flow_query query;
};

/* at: LB_TRACK_AT(); of: LB_FLOW_OF(). 0 if the packet cannot be read. */
static LB_INLINE int lb_track_begin(struct lb_track *track, struct xdp_md *ctx, __u32 at, __u32 of,
				    __u32 half)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __u8 *ip = data + (at & 31), *udp = data + (at >> 8 & 1023);

	track->now = (__u32)bpf_jiffies64();
	track->setting = bpf_map_lookup_elem(&setting_map, &half);
	if (!track->setting || !lb_flow_tuple(&track->query.key, ip, udp, end, of))
		return 0;
	lb_flow_look(&track->query, udp + LB_UDP_LENGTH, lb_read16(udp + 4) - LB_UDP_LENGTH, end);
	return 1;
}

static LB_INLINE struct lb_flow *lb_flow_unless_expired(struct lb_flow *flow,
							const struct lb_track *track)
{
	return flow && !lb_flow_expired(flow, track->setting, track->now) ? flow : NULL;
}

/* A flow that is there and has not expired. */
static LB_INLINE struct lb_flow *lb_flow_get(const struct lb_flow_key *key,
					     const struct lb_track *track)
{
	return lb_flow_unless_expired(bpf_map_lookup_elem(&conn_track, key), track);
}

/* A packet more. hash: that of what the flow was found by. */
static LB_INLINE void lb_flow_touch(struct lb_flow *flow, const struct lb_track *track, __u64 hash)
{
	flow->packets++;
	if (flow->seen != track->now)
		flow->seen = track->now;
	lb_recent_keep(track->setting, hash, track->now, lb_flow_patience(flow, track->setting));
}

/*
 * The flow's connection ID is known to be its server's: its own entry shall last as long. Another server's
 * flow keeps it. Returns LB_TRACK_ADD().
 */
static LB_INLINE __u32 lb_flow_tell_cid(const struct lb_flow *flow, const struct lb_track *track)
{
	struct lb_flow_key key = lb_flow_cid_key(flow->cid, track->query.key.of);
	struct lb_flow *known = lb_flow_get(&key, track);

	if (!known)
		return LB_TRACK_ADD(LB_FLOW_DCID, flow->flags);
	if (known->server == flow->server) {
		known->flags = flow->flags;
		lb_flow_touch(known, track, lb_flow_cid_hash(key.word[0], key.word[1]));
	}
	return 0;
}

/* A packet of this flow, by its tuple. Writes what changes; returns LB_TRACK_ADD(). */
static LB_INLINE __u32 lb_flow_met(struct lb_flow *flow, const struct lb_track *track, __u64 hash)
{
	__u32 flags = lb_flow_learn(flow, &track->query), shift = track->setting->recent_shift;
	int tell = flags != flow->flags || flow->seen >> shift != track->now >> shift;

	if (flags != flow->flags)
		flow->flags = flags;
	if (track->query.form & LB_FLOW_CID && !lb_flow_has_cid(flow, &track->query)) {
		flow->cid[0] = track->query.cid[0];
		flow->cid[1] = track->query.cid[1];
		tell = 1;
	}
	lb_flow_touch(flow, track, hash);
	if (!tell || !(flags & LB_FLOW_LONG_CID) || !(track->query.form & LB_FLOW_CID))
		return 0;
	return lb_flow_tell_cid(flow, track);
}

/*
 * Where the packet's flow goes, as LB_ROUTE(), without a server if it is new; and in the place of a config
 * LB_TRACK_ADD(). half: of the generation; hash: of the 4-tuple.
 */
__noinline __u32 lb_flow_find(struct xdp_md *ctx, __u32 at, __u32 of, __u32 half, __u64 hash)
{
	struct lb_flow *flow, *first, *known = NULL;
	__u32 add = LB_FLOW_TUPLE;
	struct lb_track track;
	struct lb_flow_key key;

	if (!lb_track_begin(&track, ctx, at, of, half))
		return 0;
	first = bpf_map_lookup_elem(&conn_track, &track.query.key);
	flow = lb_flow_unless_expired(first, &track);
	if (flow && lb_flow_matches(flow, &track.query))
		goto met;
	key = track.query.key;
	if (track.query.form & LB_FLOW_LONG) {
		/* What flow_recent_map wrongly lets through, as some of a flood, is asked for once only. */
		if (!first)
			return LB_ROUTE(0, 0, add);
		/* The tuple's own entry may be another connection's, made before this one's. */
		add = flow ? LB_FLOW_SCID : LB_FLOW_TUPLE;
		lb_flow_to_scid(&key, track.query.scid);
		flow = lb_flow_get(&key, &track);
	} else if (track.query.form & LB_FLOW_CID) {
		key = lb_flow_cid_key(track.query.cid, of);
		known = lb_flow_get(&key, &track);
	}
	if (known) {
		lb_flow_touch(known, &track, lb_flow_cid_hash(key.word[0], key.word[1]));
		/* The connection went on with another one of its IDs, or where a NAT sends it from now. */
		if (flow && flow->server == known->server)
			lb_flow_met(flow, &track, hash);
		return LB_ROUTE(known->server, LB_REASON_flow_cid,
				flow ? 0 : LB_TRACK_ADD(LB_FLOW_TUPLE, known->flags));
	}
	if (!flow)
		return LB_ROUTE(0, 0, add);
met:
	add = lb_flow_met(flow, &track, hash);
	return LB_ROUTE(flow->server, LB_REASON_flow, add);
}

static LB_INLINE void lb_flow_write(struct lb_flow *flow, const struct lb_flow *by)
{
	flow->server = by->server;
	flow->born = by->born;
	flow->seen = by->seen;
	flow->packets = by->packets;
	flow->cid[0] = by->cid[0];
	flow->cid[1] = by->cid[1];
	flow->scid = by->scid;
	flow->flags = by->flags;
}

/*
 * Adds what has been afforded. Where it is there already and has not expired, another CPU was faster, or two took
 * the same slot in lb_recent_write(): that one counts, and has a slot again. Returns the flow's server. of: with
 * LB_TRACK_ADD() for a kind; how: LB_TRACK_HOW(); hash: of the 4-tuple.
 */
__noinline __u32 lb_flow_add(struct xdp_md *ctx, __u32 at, __u32 of, __u32 how, __u64 hash)
{
	__u32 add = of >> 24, kind = LB_TRACK_ADD_KIND(add), counter = LB_FLOW_COUNT_added;
	struct lb_flow fresh = {}, *old;
	struct lb_track track;

	of = (of & 0xffffff) | LB_FLOW_OF(kind, 0, 0);
	if (!lb_track_begin(&track, ctx, at, of, how & 0xff))
		return how >> 8;
	if (kind == LB_FLOW_SCID)
		lb_flow_to_scid(&track.query.key, track.query.scid);
	if (kind == LB_FLOW_DCID) {
		track.query.key = lb_flow_cid_key(track.query.cid, of);
		hash = lb_flow_cid_hash(track.query.cid[0], track.query.cid[1]);
		counter = LB_FLOW_COUNT_cid_added;
	}
	fresh.server = how >> 8;
	fresh.born = fresh.seen = track.now;
	fresh.packets = 1;
	fresh.cid[0] = track.query.cid[0];
	fresh.cid[1] = track.query.cid[1];
	fresh.scid = track.query.scid;
	fresh.flags = LB_TRACK_ADD_FLAGS(add);
	if (bpf_map_update_elem(&conn_track, &track.query.key, &fresh, BPF_NOEXIST)) {
		old = bpf_map_lookup_elem(&conn_track, &track.query.key);
		counter = LB_FLOW_COUNT_full;
		if (old) {
			if (!lb_flow_expired(old, track.setting, track.now)) {
				lb_flow_touch(old, &track, hash);
				return old->server;
			}
			lb_flow_write(old, &fresh);
			counter = LB_FLOW_COUNT_expired;
		}
	}
	lb_flow_count(counter);
	lb_recent_keep(track.setting, hash, track.now, lb_flow_patience(&fresh, track.setting));
	return fresh.server;
}

/* Whether conn_track may know the packet's flow: by its tuple, or its DCID. */
static LB_INLINE int lb_flow_may_be_known(const struct lb_pkt *pkt,
					  const struct lb_setting *setting, __u32 now)
{
	const __u8 *payload = (const __u8 *)pkt->udp + LB_UDP_LENGTH;

	if (!lb_recent_counts(setting, now) || lb_recent_has(setting, pkt->hash, now))
		return 1;
	if (pkt->payload_length < LB_FLOW_PACKET_MIN ||
	    payload + LB_FLOW_PACKET_MIN > (const __u8 *)pkt->end || payload[0] & 0x80)
		return 0;
	return lb_recent_has(setting,
			     lb_flow_cid_hash(lb_load32(payload + 1), lb_load32(payload + 5)), now);
}

/*
 * A packet whose connection ID does not decide: by where its flow went before, else by its row; and there it
 * stays.
 */
static LB_INLINE enum lb_step lb_route_by_flow(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	const struct lb_setting *setting;
	__u32 half = pkt->generation->half, found = LB_TRACK_ADD(LB_FLOW_TUPLE, 0);
	__u32 of = LB_FLOW_OF(0, LB_VIP_NUMBER(pkt->vip), pkt->ip_version), at, now, server;
	enum lb_step step = LB_FORWARD;

	pkt->hash = lb_tuple_hash64(pkt->ip, pkt->udp, pkt->end);
	setting = bpf_map_lookup_elem(&setting_map, &half);
	if (!setting || !setting->flow_mask)
		return lb_route_by_tuple(pkt);
	at = LB_TRACK_AT(pkt->link_length, (const __u8 *)pkt->udp - (const __u8 *)(long)ctx->data);
	now = (__u32)bpf_jiffies64();
	if (lb_flow_may_be_known(pkt, setting, now))
		found = lb_flow_find(ctx, at, of | LB_FLOW_OF(LB_FLOW_TUPLE, 0, 0), half,
				     pkt->hash);
	/* Whether it was asked for makes no difference to the verifier from here. */
	found = lb_forget(found, pkt->frame_length);
	if (LB_ROUTE_SERVER(found))
		pkt->route = LB_ROUTE(LB_ROUTE_SERVER(found), LB_ROUTE_REASON(found), 0);
	else
		step = lb_route_by_tuple(pkt);
	found &= 0xff;
	if (step != LB_FORWARD || !found)
		return step;
	found = lb_afford(setting, LB_VIP_NUMBER(pkt->vip), now) ? found : 0;
	if (!found)
		return step;
	server = lb_flow_add(ctx, at, of | found << 24,
			     LB_TRACK_HOW(half, LB_ROUTE_SERVER(pkt->route)), pkt->hash);
	if (server != LB_ROUTE_SERVER(pkt->route) && LB_TRACK_ADD_KIND(found) != LB_FLOW_DCID)
		pkt->route = LB_ROUTE(server, LB_REASON_flow, 0);
	return step;
}

#endif
