/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steps a tier is made of, in the order of QUIC-LB section 4.2; each settles the packet or hands
 * it on. lb_leave() and lb_finish() alone count and turn the outcome into a verdict.
 */
#ifndef LB_PIPELINE_H
#define LB_PIPELINE_H

#include "lb/forward.h"
#if LB_MAY_TRACK
#include "lb/icmp_send.h"
#include "lb/nat.h"
#endif
#include "lb/parse.h"
#include "lb/route.h"
#include "lb/vip.h"

static LB_INLINE enum lb_step lb_parse_xdp(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	pkt->ctx = ctx;
	return lb_parse(pkt, data, end, end - data);
}

/*
 * A packet that ends before it is known to be for a VIP. With an ending of its own nothing but the
 * reason has to be at hand there: else clang sets all that lb_finish() reads before every branch.
 */
static LB_INLINE int lb_leave(const struct lb_pkt *pkt)
{
	lb_count(&reason_stats, LB_ROUTE_REASON(pkt->route), pkt->frame_length);
	return XDP_PASS;
}

#if LB_MAY_TRACK
/* Whether a packet that has been parsed to no end is ICMP: one more look at what is no UDP. */
static LB_INLINE int lb_ends_as_icmp(const struct lb_pkt *pkt)
{
	const __u8 *ip = pkt->ip;

	return LB_ROUTE_REASON(pkt->route) == LB_REASON_not_udp &&
	       ip + 40 <= (const __u8 *)pkt->end && lb_is_icmp(ip, pkt->ip_version);
}

static LB_INLINE int lb_leave_icmp(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	__u32 server = lb_icmp_cid(ctx, pkt->link_length, pkt->ip_version);

	if (!server)
		server = lb_icmp_tuple(ctx, pkt->link_length, pkt->ip_version);
	return lb_icmp_error(ctx, pkt->link_length, pkt->ip_version, server);
}

/* A packet for no VIP, where nat servers answer. Behind the call its pointers are void. */
static LB_INLINE int lb_leave_or_return(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	__u32 udp_at = (long)pkt->udp - (long)ctx->data;
	int verdict = lb_nat_return(ctx, pkt->generation->half, udp_at, pkt->shape);

	return verdict == XDP_PASS ? lb_leave(pkt) : verdict;
}
#endif

/* For a packet to a VIP: counts it and turns what became of it into a verdict. */
static LB_INLINE int lb_finish(const struct lb_pkt *pkt)
{
	__u32 reason = LB_ROUTE_REASON(pkt->route), server = LB_ROUTE_SERVER(pkt->route);

	lb_count(&reason_stats, reason, pkt->frame_length);
	lb_count(&vip_stats, LB_VIP_NUMBER(pkt->vip), pkt->frame_length);
	if (!server)
		return LB_MAY_TRACK && reason == LB_REASON_too_big_answered ? pkt->verdict :
									      XDP_PASS;
	lb_count(&server_stats, server, pkt->frame_length);
	if (reason == LB_REASON_cid || reason == LB_REASON_known_cid)
		lb_count(&cid_stats,
			 LB_CID_INDEX(LB_VIP_POOL(pkt->vip), LB_ROUTE_CONFIG_ID(pkt->route)),
			 pkt->frame_length);
	return pkt->verdict;
}

#endif
