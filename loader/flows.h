/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where packets without a routable connection ID went before: lb/track.h's steps in user space. The flows
 * themselves are kept by whoever uses this. Pure.
 */
#ifndef SHUNT_FLOWS_H
#define SHUNT_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "lb/abi.h"
#include "lb/counters.h"

struct flows {
	void *context;
	const struct lb_setting *setting;
	uint32_t now; /* jiffies, their lower half */
	/* False: there is none. */
	bool (*find)(void *context, const struct lb_flow_key *key, struct lb_flow *flow);
	/* NULL: flows are looked at, and others remember them. */
	bool (*put)(void *context, const struct lb_flow_key *key, const struct lb_flow *flow);
	/* Whether one more of the VIP may be remembered now. */
	bool (*afford)(void *context, uint32_t vip);
	void (*count)(void *context, enum lb_flow_counter counter);
};

/* A packet: headers and datagram, of which everything up to `end` is readable. */
struct flows_packet {
	const uint8_t *ip, *udp, *end;
	uint32_t payload_length, ip_version, vip;
};

/*
 * The server where the packet's flow went, with *reason; 0: it is new, and goes by its hash. *add is what
 * flows_add() wants to know then, or where the flow has more to be remembered.
 */
uint32_t flows_route(const struct flows *flows, const struct flows_packet *packet,
		     enum lb_reason *reason, struct lb_flow_key *add, uint32_t *flags);
/* Remembers where it goes, if that can be afforded. add->of 0: nothing to remember. */
void flows_add(const struct flows *flows, const struct flows_packet *packet,
	       const struct lb_flow_key *add, uint32_t flags, uint32_t server);

#endif
