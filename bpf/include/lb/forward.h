/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends a packet to its server: outer headers where the mode asks for them, new MAC addresses,
 * TTL less one. A packet is changed only after everything that can fail has not.
 */
#ifndef LB_FORWARD_H
#define LB_FORWARD_H

#include "lb/answer.h"
#include "lb/maps.h"
#include "lb/rewrite.h"

/* An XDP verdict, or why the packet was left as it was: LB_LEFT() of a reason. */
#define LB_LEFT(reason)	  ((reason) << 8)
#define LB_LEFT_WHY(sent) ((sent) >> 8)

/*
 * ip, udp: of the packet in ctx. VLAN tags stay on a frame that leaves where it came in; a redirected one
 * loses them, for user space resolves no VLAN interface as an egress.
 */
static LB_SUB __u32 lb_send(struct xdp_md *ctx, const struct lb_server *server, const __u8 *ip,
			    const __u8 *udp, __u32 shape)
{
	__u32 type_at = LB_SHAPE_TYPE_AT(shape), ip_version = LB_SHAPE_VERSION(shape);
	__u32 mode_and_outer = lb_load16(&server->mode);
	__u32 length = lb_second_octet(mode_and_outer) & LB_OUTER_MASK;
	__u32 left = type_at, verdict = XDP_TX;
	struct lb_outer outer;
	int shift;

	/* Most servers have one mode; where the frame begins then does not wait for the server's entry. */
	LB_EXPECT(length, LB_IPV4_LENGTH);
	if (!mode_and_outer)
		return LB_LEFT(LB_REASON_no_next_hop);
	if (LB_SHAPE_TTL(shape) <= 1)
		return LB_LEFT(LB_REASON_ttl_expired);
	if (LB_MAY_REDIRECT && lb_ip_length(ip, ip_version) + length > server->mtu)
		return LB_LEFT(LB_REASON_too_big);
	lb_outer_of(&outer, length, ip, udp, shape);
	if (LB_MAY_REDIRECT && server->egress) {
		verdict = lb_redirect(server->egress);
		if (verdict != XDP_REDIRECT)
			return LB_LEFT(LB_REASON_no_next_hop);
		left = LB_ETH_LENGTH - 2;
	}
	shift = type_at - left - length;
	if (LB_MAY_TRACK &&
	    LB_UNLIKELY(shift >= 0 && lb_second_octet(mode_and_outer) & LB_OUTER_NAT))
		/* An IPv6 packet has its header, but Linux 6.1 has forgotten what that was of. */
		lb_nat_forward((__u8 *)ip, (__u8 *)udp,
			       ip + LB_IPV6_LENGTH > (__u8 *)(long)ctx->data_end ? 4 : ip_version,
			       server);
	if (shift && bpf_xdp_adjust_head(ctx, shift))
		return LB_LEFT(LB_REASON_no_headroom);
	if (!lb_rewrite((void *)(long)ctx->data, (void *)(long)ctx->data_end, server, left,
			ip_version, &outer))
		return XDP_ABORTED;
	return verdict;
}

/* Too long for its server: its sender is told so, or it is passed. */
static LB_INLINE void lb_refuse(struct xdp_md *ctx, struct lb_pkt *pkt,
				const struct lb_server *server)
{
	__u32 mtu = server->mtu - (server->outer_length & LB_OUTER_MASK);

	lb_pass(pkt, LB_REASON_too_big);
	pkt->verdict = lb_tell_too_big(ctx, pkt->shape, mtu, pkt->generation->half);
	if (pkt->verdict != XDP_PASS)
		pkt->route = LB_ROUTE(0, LB_REASON_too_big_answered, 0);
}

/* A server is chosen. */
static LB_INLINE void lb_forward(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	__u32 key = pkt->generation->server_base + LB_ROUTE_SERVER(pkt->route), sent;
	const struct lb_server *server = bpf_map_lookup_elem(&server_map, &key);

	/* What follows does not depend on why it was chosen: the verifier need not walk it once for each reason. */
	pkt->route = lb_forget(pkt->route, pkt->frame_length);
	sent = server ? lb_send(ctx, server, pkt->ip, pkt->udp, pkt->shape) :
			LB_LEFT(LB_REASON_no_next_hop);
	pkt->verdict = sent;
	if (LB_UNLIKELY(LB_LEFT_WHY(sent))) {
		if (LB_MAY_TRACK && server && sent == LB_LEFT(LB_REASON_too_big))
			lb_refuse(ctx, pkt, server);
		else
			lb_pass(pkt, LB_LEFT_WHY(sent));
	}
}

#endif
