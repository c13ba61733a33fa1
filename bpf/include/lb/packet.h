/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the steps of a tier tell each other about one packet.
 */
#ifndef LB_PACKET_H
#define LB_PACKET_H

#include "lb/abi.h"
#include "lb/bytes.h"
#include "lb/counters.h"

/* A step goes on, or it names a reason and settles the packet. */
enum lb_step {
	LB_NEXT,
	LB_PASS, /* leave it to the next tier */
	LB_FORWARD, /* pkt->server is chosen */
	LB_DONE, /* it was forwarded: pkt->verdict */
};

struct lb_pkt {
	const void *end; /* first octet past what may be read */
	__u32 frame_length;

	/* lb/parse.h */
	__u32 link_length; /* Ethernet and VLAN tags: 14, 18 or 22 */
	__u32 vlan[2]; /* each tag's four octets as they lie in the frame */
	const void *ip; /* IP header */
	__u32 ip_version; /* 4 or 6 */
	__u32 ip_length; /* of the whole IP packet */
	__u32 traffic_class; /* DSCP and ECN */
	__u32 ttl;
	const void *udp; /* UDP header */
	__u32 payload_length; /* of the UDP datagram, without its header */

	/* lb/pipeline.h */
	const struct lb_generation *generation;
	__u32 vip; /* number, 0: none */
	__u32 pool;
	__u32 config_id; /* that decided; meaningful with LB_REASON_cid */
	__u32 server; /* number, 0: none */
	enum lb_reason reason;
	int verdict;
};

static LB_INLINE enum lb_step lb_pass(struct lb_pkt *pkt, enum lb_reason reason)
{
	pkt->reason = reason;
	return LB_PASS;
}

#endif
