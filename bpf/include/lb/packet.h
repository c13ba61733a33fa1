/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the steps of a tier tell each other about one packet.
 */
#ifndef LB_PACKET_H
#define LB_PACKET_H

#include "lb/abi.h"
#include "lb/bytes.h"
#include "lb/counters.h"

/* A step goes on to the next one, or it settles where the packet goes: pkt->route. */
enum lb_step {
	LB_NEXT,
	LB_PASS, /* leave it to the next tier */
	LB_FORWARD, /* a server is chosen */
};

/* What became of a packet, in one word: server number (0: passed), why, and by which CID config. */
#define LB_ROUTE(server, reason, config_id) ((server) << 16 | (__u32)(reason) << 8 | (config_id))
#define LB_ROUTE_SERVER(route)		    ((route) >> 16)
#define LB_ROUTE_REASON(route)		    ((enum lb_reason)((route) >> 8 & 0xff))
#define LB_ROUTE_CONFIG_ID(route)	    ((route)&0xff) /* meaningful if a CID decided */

/* What is not read anew when a frame is rewritten: where its EtherType stands, IP version, TTL. */
#define LB_SHAPE(type_at, version, ttl) ((type_at) | (version) << 8 | (ttl) << 16)
#define LB_SHAPE_TYPE_AT(shape)		((shape)&0xff)
#define LB_SHAPE_VERSION(shape)		((shape) >> 8 & 0xff)
#define LB_SHAPE_TTL(shape)		((shape) >> 16)

struct lb_pkt {
	void *ctx; /* struct xdp_md of an XDP program, else NULL */
	const void *end; /* first octet past what may be read */
	__u32 frame_length;

	/* lb/parse.h */
	__u32 link_length; /* Ethernet and VLAN tags: 14, 18 or 22 */
	__u32 vlan[2]; /* each tag's four octets as they lie in the frame */
	const void *ip; /* IP header */
	__u32 ip_version; /* 4 or 6 */
	__u32 shape; /* what forwarding asks of all this: LB_SHAPE() */
	__u32 ip_length; /* of the whole IP packet */
	__u32 traffic_class; /* DSCP and ECN */
	__u32 ttl;
	const void *udp; /* UDP header */
	__u32 payload_length; /* of the UDP datagram, without its header */

	/* lb/pipeline.h */
	const struct lb_generation *generation;
	__u32 vip; /* vip_map's value; 0: none */
	__u64 hash; /* of the 4-tuple, where lb/track.h has made it */
	__u32 route;
	int verdict; /* if a server is chosen */
};

/* The route of a packet that is not what most are. */
static LB_INLINE __u32 lb_no_route(enum lb_reason reason)
{
	__u32 route = LB_ROUTE(0, reason, 0);

	LB_RARE(route);
	return route;
}

static LB_INLINE enum lb_step lb_pass(struct lb_pkt *pkt, enum lb_reason reason)
{
	pkt->route = lb_no_route(reason);
	return LB_PASS;
}

#endif
