/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors on the XDP tiers of a host: a function of its own, reached from packets alone that are not UDP,
 * and verified once by itself.
 */
#ifndef LB_ICMP_SEND_H
#define LB_ICMP_SEND_H

#include "lb/forward.h"
#include "lb/icmp.h"
#include "lb/track.h"

/* As lb_send(), for a packet without a UDP header. It is never answered: it is about a packet already. */
static LB_INLINE __u32 lb_icmp_send(struct xdp_md *ctx, const struct lb_server *server,
				    const struct lb_icmp *icmp, const __u8 *ip, const void *end,
				    __u32 shape)
{
	__u32 type_at = LB_SHAPE_TYPE_AT(shape), ip_version = LB_SHAPE_VERSION(shape);
	__u32 mode_and_outer = lb_load16(&server->mode), hops = LB_SHAPE_TTL(shape);
	__u32 left = type_at, verdict = XDP_TX;
	struct lb_outer outer = { .length = lb_second_octet(mode_and_outer) & LB_OUTER_MASK };
	int shift;

	if (!mode_and_outer)
		return LB_LEFT(LB_REASON_no_next_hop);
	if (hops <= 1)
		return LB_LEFT(LB_REASON_ttl_expired);
	if (lb_ip_length(ip, ip_version) + outer.length > server->mtu)
		return LB_LEFT(LB_REASON_too_big);
	if (server->egress) {
		verdict = lb_redirect(server->egress);
		if (verdict != XDP_REDIRECT)
			return LB_LEFT(LB_REASON_no_next_hop);
		left = LB_ETH_LENGTH - 2;
	}
	shift = type_at - left - outer.length;
	/* IPv6's header has been found there, but Linux 6.1 has forgotten what that was of. */
	if (lb_second_octet(mode_and_outer) & LB_OUTER_NAT)
		lb_icmp_readdress(
			(__u8 *)ip, (__u8 *)icmp->message, (__u8 *)icmp->quote, (__u8 *)icmp->udp,
			LB_STILL_READABLE(end, icmp->quote, LB_IPV6_LENGTH) ? ip_version : 4,
			server);
	outer.flow = lb_flow_label(ip, icmp->udp);
	if (outer.length == LB_IPV6_LENGTH + LB_GUE_LENGTH)
		outer.sum = lb_icmp_sum(ip, ip_version, hops - 1);
	if (shift && bpf_xdp_adjust_head(ctx, shift))
		return LB_LEFT(LB_REASON_no_headroom);
	if (!lb_rewrite((void *)(long)ctx->data, (void *)(long)ctx->data_end, server, left,
			ip_version, &outer))
		return XDP_ABORTED;
	return verdict;
}

/* A packet that is ICMP, and what is made of it. */
struct lb_icmp_pkt {
	const struct lb_generation *generation;
	const struct lb_setting *setting;
	const __u8 *ip, *end;
	struct lb_icmp icmp;
	__u32 frame_length, vip;
};

/* link: octets of its link header. */
static LB_INLINE enum lb_reason lb_icmp_parse(struct lb_icmp_pkt *pkt, struct xdp_md *ctx,
					      __u32 link, __u32 ip_version)
{
	const __u8 *data = (void *)(long)ctx->data;
	const struct lb_meta *meta;
	__u32 key = 0;

	pkt->end = (void *)(long)ctx->data_end;
	pkt->frame_length = pkt->end - data;
	pkt->ip = data + (link & 31);
	pkt->vip = 0;
	meta = bpf_map_lookup_elem(&meta_map, &key);
	if (!meta)
		return LB_REASON_no_config;
	key = meta->active;
	pkt->generation = bpf_map_lookup_elem(&generation_map, &key);
	if (!pkt->generation || !pkt->generation->number)
		return LB_REASON_no_config;
	key = pkt->generation->half;
	pkt->setting = bpf_map_lookup_elem(&setting_map, &key);
	if (!pkt->setting)
		return LB_REASON_no_config;
	return lb_icmp_find(&pkt->icmp, pkt->ip, pkt->end, ip_version, pkt->generation,
			    pkt->setting, &pkt->vip);
}

/*
 * Three functions, each with what is left of the stack to itself. This one: the server that the quoted
 * connection ID names, 0: none.
 */
__attribute__((noinline)) __u32 lb_icmp_cid(struct xdp_md *ctx, __u32 link, __u32 ip_version)
{
	struct lb_icmp_pkt pkt;

	if (lb_icmp_parse(&pkt, ctx, link, ip_version) != LB_REASON_icmp)
		return 0;
	return lb_icmp_by_cid(ctx, &pkt.icmp, pkt.end, pkt.generation, pkt.vip);
}

/* Where the flow that is quoted went before. Nothing is written: it is not the client's packet. */
static LB_INLINE __u32 lb_icmp_by_flow(const struct lb_icmp_pkt *pkt, __u32 ip_version, __u64 hash)
{
	const struct lb_setting *setting = pkt->setting;
	__u32 now = (__u32)bpf_jiffies64(), scid;
	const struct lb_flow *flow;
	struct lb_flow_key key = {};

	if (!setting->flow_mask ||
	    (lb_recent_counts(setting, now) && !lb_recent_has(setting, hash, now)))
		return 0;
	scid = lb_icmp_flow(&key, &pkt->icmp, pkt->end, ip_version, pkt->vip);
	flow = bpf_map_lookup_elem(&conn_track, &key);
	if (flow && scid && flow->scid != scid) {
		lb_flow_to_scid(&key, scid);
		flow = bpf_map_lookup_elem(&conn_track, &key);
	}
	return flow && !lb_flow_expired(flow, setting, now) ? flow->server : 0;
}

/* The server of a message whose connection ID does not name it. 0: there is none. */
__attribute__((noinline)) __u32 lb_icmp_tuple(struct xdp_md *ctx, __u32 link, __u32 ip_version)
{
	struct lb_icmp_pkt pkt;
	__u32 server;
	__u64 hash;

	if (lb_icmp_parse(&pkt, ctx, link, ip_version) != LB_REASON_icmp)
		return 0;
	hash = lb_icmp_hash(&pkt.icmp, pkt.end, ip_version);
	server = lb_icmp_by_flow(&pkt, ip_version, hash);
	return server ? server : lb_icmp_by_row((__u32)hash, pkt.generation, pkt.vip);
}

/*
 * The verdict for a packet that is ICMP, which is counted: LB_REASON_not_udp unless it is an error for a VIP's
 * address. server: of the error; 0: there is none.
 */
__attribute__((noinline)) int lb_icmp_error(struct xdp_md *ctx, __u32 link, __u32 ip_version,
					    __u32 server)
{
	struct lb_icmp_pkt pkt;
	enum lb_reason reason = lb_icmp_parse(&pkt, ctx, link, ip_version);
	__u32 verdict = XDP_PASS, key;
	const struct lb_server *to;

	if (pkt.vip)
		lb_count(&vip_stats, LB_VIP_NUMBER(pkt.vip), pkt.frame_length);
	if (reason == LB_REASON_icmp) {
		key = pkt.generation->server_base + server;
		to = server ? bpf_map_lookup_elem(&server_map, &key) : 0;
		verdict = to ? lb_icmp_send(ctx, to, &pkt.icmp, pkt.ip, pkt.end,
					    LB_SHAPE((link & 31) - 2, ip_version,
						     pkt.ip[ip_version == 4 ? 8 : 7])) :
			       LB_LEFT(server ? LB_REASON_no_next_hop : LB_REASON_no_server);
		if (LB_LEFT_WHY(verdict)) {
			reason = LB_LEFT_WHY(verdict);
			verdict = XDP_PASS;
		} else {
			lb_count(&server_stats, server, pkt.frame_length);
		}
	}
	lb_count(&reason_stats, reason, pkt.frame_length);
	return verdict;
}

#endif
