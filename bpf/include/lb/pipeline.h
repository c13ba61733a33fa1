/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steps a tier is made of, in the order of QUIC-LB section 4.2; each settles the packet or hands
 * it on. lb_finish() alone counts and turns the outcome into a verdict.
 */
#ifndef LB_PIPELINE_H
#define LB_PIPELINE_H

#include "lb/cid.h"
#include "lb/forward.h"
#include "lb/parse.h"
#include "lb/tuple.h"
#include "lb/vip.h"

static LB_INLINE enum lb_step lb_parse_xdp(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	return lb_parse(pkt, data, end, end - data);
}

/* The config that the CID's first octet names; NULL with pkt->reason set if there is none. */
static LB_INLINE const struct lb_cid_config *lb_find_config(struct lb_pkt *pkt,
							    const struct lb_dcid *dcid)
{
	const struct lb_cid_config *config;
	__u32 index;

	pkt->reason = LB_REASON_hash_no_dcid;
	if (dcid->octets + 1 > (const __u8 *)pkt->end)
		return NULL;
	pkt->config_id = lb_cid_config_id(dcid->octets[0]);
	pkt->reason = LB_REASON_hash_reserved_config;
	if (pkt->config_id == LB_CONFIG_RESERVED)
		return NULL;
	index = pkt->generation->config_base + LB_CID_INDEX(pkt->pool, pkt->config_id);
	config = bpf_map_lookup_elem(&cid_config_map, &index);
	pkt->reason = config ? lb_cid_check(config, dcid) : LB_REASON_hash_unknown_config;
	return pkt->reason == LB_REASON_cid ? config : NULL;
}

/* A routable CID decides alone: no state is read or written for it. */
static LB_INLINE enum lb_step lb_route_by_cid(struct lb_pkt *pkt)
{
	const struct lb_cid_key *key = NULL;
	const struct lb_cid_config *config;
	struct lb_table_key sid = {};
	struct lb_dcid dcid;

	pkt->reason = LB_REASON_hash_no_dcid;
	if (!lb_quic_dcid((const __u8 *)pkt->udp + LB_UDP_LENGTH, pkt->payload_length, pkt->end,
			  &dcid))
		return LB_NEXT;
	config = lb_find_config(pkt, &dcid);
	if (!config)
		return LB_NEXT;
	if (config->algorithm != LB_CID_CLEAR) {
		if (!LB_MAY_AES)
			return lb_pass(pkt, LB_REASON_needs_key);
		key = lb_cid_key(pkt->generation->config_base +
				 LB_CID_INDEX(pkt->pool, pkt->config_id));
	}
	pkt->reason = lb_cid_server_id(config, key, &dcid, pkt->end, sid.word);
	if (pkt->reason != LB_REASON_cid)
		return LB_NEXT;

	sid.word[4] = LB_SID_KEY(pkt->pool, pkt->config_id);
	pkt->server =
		lb_table_find(&sid_map, &sid, pkt->generation->sid_base, pkt->generation->sid_mask);
	pkt->reason = pkt->server ? LB_REASON_cid : LB_REASON_hash_unknown_server_id;
	return pkt->server ? LB_FORWARD : LB_NEXT;
}

/* The last resort: pkt->reason already says why the CID did not decide. */
static LB_INLINE enum lb_step lb_route_by_tuple(struct lb_pkt *pkt)
{
	const struct lb_generation *generation = pkt->generation;
	__u32 shift = generation->row_shift & 31, key;
	const __u32 *row;

	/* Kernels from 6.13 follow constant keys of arrays, and would walk on once for each reason. */
	pkt->reason = lb_forget(pkt->reason, pkt->frame_length);
	key = generation->row_base + (pkt->pool << shift) +
	      (lb_tuple_hash(pkt) & ((1u << shift) - 1));
	row = bpf_map_lookup_elem(&row_map, &key);
	if (!row || !*row)
		return lb_pass(pkt, LB_REASON_no_server);
	pkt->server = *row;
	return LB_FORWARD;
}

static LB_INLINE int lb_finish(const struct lb_pkt *pkt, enum lb_step step)
{
	lb_count(&reason_stats, pkt->reason, pkt->frame_length);
	if (pkt->vip)
		lb_count(&vip_stats, pkt->vip, pkt->frame_length);
	if (step != LB_DONE)
		return XDP_PASS;
	lb_count(&server_stats, pkt->server, pkt->frame_length);
	if (pkt->reason == LB_REASON_cid) {
		lb_count(&cid_stats, LB_CID_INDEX(pkt->pool, pkt->config_id), pkt->frame_length);
		lb_cid_seen(LB_CID_INDEX(pkt->pool, pkt->config_id));
	}
	return pkt->verdict;
}

#endif
