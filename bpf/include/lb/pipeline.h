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

/* A routable CID decides alone: no state is read or written for it. */
static LB_INLINE enum lb_step lb_route_by_cid(struct lb_pkt *pkt)
{
	const struct lb_cid_config *config;
	struct lb_table_key key = {};
	struct lb_dcid dcid;
	__u32 id, index;

	pkt->reason = LB_REASON_hash_no_dcid;
	if (!lb_quic_dcid((const __u8 *)pkt->udp + LB_UDP_LENGTH, pkt->payload_length, pkt->end,
			  &dcid))
		return LB_NEXT;
	if (dcid.octets + 1 > (const __u8 *)pkt->end)
		return LB_NEXT;
	id = lb_cid_config_id(dcid.octets[0]);
	pkt->reason = LB_REASON_hash_reserved_config;
	if (id == LB_CONFIG_RESERVED)
		return LB_NEXT;
	pkt->reason = LB_REASON_hash_unknown_config;
	index = pkt->generation->config_base + id;
	config = bpf_map_lookup_elem(&cid_config_map, &index);
	if (!config)
		return LB_NEXT;
	pkt->reason = lb_cid_server_id(config, &dcid, pkt->end, key.word);
	if (pkt->reason != LB_REASON_cid)
		return LB_NEXT;

	key.word[4] = LB_SID_KEY(pkt->pool, id);
	pkt->server =
		lb_table_find(&sid_map, &key, pkt->generation->sid_base, pkt->generation->sid_mask);
	pkt->reason = LB_REASON_hash_unknown_server_id;
	if (!pkt->server)
		return LB_NEXT;
	pkt->reason = LB_REASON_cid;
	pkt->config_id = id;
	return LB_FORWARD;
}

/*
 * For the verifier only: makes it forget which constant the reason is. Recent kernels (6.13) follow
 * constant keys of arrays, and would walk the rest of the program once for each reason.
 */
static LB_INLINE void lb_forget_reason(struct lb_pkt *pkt)
{
	__u32 reason = pkt->reason, nothing = pkt->frame_length;

	asm volatile("%1 ^= %1\n\t%0 += %1" : "+r"(reason), "+r"(nothing));
	pkt->reason = reason;
}

/* The last resort: pkt->reason already says why the CID did not decide. */
static LB_INLINE enum lb_step lb_route_by_tuple(struct lb_pkt *pkt)
{
	const struct lb_generation *generation = pkt->generation;
	__u32 shift = generation->row_shift & 31, key;
	const __u32 *row;

	lb_forget_reason(pkt);
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
	if (pkt->reason == LB_REASON_cid)
		lb_count(&cid_stats, pkt->config_id, pkt->frame_length);
	return pkt->verdict;
}

#endif
