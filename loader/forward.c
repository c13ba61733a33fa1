/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What lb/forward.h does to a frame in the kernel, here. See forward.h.
 */
#include "forward.h"

#include "user_profile.h"

#include "lb/parse.h"
#include "lb/icmp.h"
#include "lb/rewrite.h"

static bool fail(enum lb_reason why, enum lb_reason *reason)
{
	*reason = why;
	return false;
}

static void prepare(const struct decision *decision, const struct lb_server *server,
		    struct lb_outer *outer)
{
	uint8_t *ip = (uint8_t *)decision->ip, *udp = (uint8_t *)decision->udp;

	lb_outer_of(outer, server->outer_length & LB_OUTER_MASK, ip, udp, decision->shape);
	if (server->outer_length & LB_OUTER_NAT)
		lb_nat_forward(ip, udp, LB_SHAPE_VERSION(decision->shape), server);
}

/* As lb_icmp_send() of lb/icmp_send.h. */
static void prepare_icmp(const struct decision *decision, const struct lb_server *server,
			 struct lb_outer *outer)
{
	uint8_t *ip = (uint8_t *)decision->ip, *udp = (uint8_t *)decision->udp;
	uint32_t version = LB_SHAPE_VERSION(decision->shape);

	if (server->outer_length & LB_OUTER_NAT)
		lb_icmp_readdress(ip, (uint8_t *)decision->message, (uint8_t *)decision->quote, udp,
				  version, server);
	*outer = (struct lb_outer){ .length = server->outer_length & LB_OUTER_MASK,
				    .flow = lb_flow_label(ip, udp) };
	if (outer->length == LB_IPV6_LENGTH + LB_GUE_LENGTH)
		outer->sum = lb_icmp_sum(ip, version, LB_SHAPE_TTL(decision->shape) - 1);
}

bool forward_frame(const struct decide_tables *tables, const struct decision *decision,
		   uint8_t *frame, size_t length, struct forwarded *out, enum lb_reason *reason)
{
	const struct lb_server *server;
	uint32_t version = LB_SHAPE_VERSION(decision->shape);
	uint32_t type_at = LB_SHAPE_TYPE_AT(decision->shape), left, added;
	struct lb_outer outer;

	server = decision->server < tables->n_servers ? &tables->servers[decision->server] : NULL;
	if (!server || server->mode == LB_MODE_UNSET)
		return fail(LB_REASON_no_next_hop, reason);
	if (LB_SHAPE_TTL(decision->shape) <= 1)
		return fail(LB_REASON_ttl_expired, reason);
	added = server->outer_length & LB_OUTER_MASK;
	if (decision->ip_length + added > UINT16_MAX)
		return fail(LB_REASON_no_headroom, reason);
	/* VLAN tags stay on a frame that leaves where it came in. */
	left = server->egress ? LB_ETH_LENGTH - 2 : type_at;
	if (decision->message)
		prepare_icmp(decision, server, &outer);
	else
		prepare(decision, server, &outer);
	out->frame = frame + type_at - left - added;
	out->length = length - (type_at - left) + added;
	out->link_length = left + 2;
	out->server = server;
	lb_rewrite(out->frame, out->frame + out->length, server, left, version, &outer);
	return true;
}
