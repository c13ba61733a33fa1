/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The order of lb/track.h, over copies of flows. See flows.h.
 */
#include "flows.h"

#include "lb/flow.h"

static bool get(const struct flows *flows, const struct lb_flow_key *key, struct lb_flow *flow)
{
	return flows->find(flows->context, key, flow) &&
	       !lb_flow_expired(flow, flows->setting, flows->now);
}

/* A packet more. */
static void touch(const struct flows *flows, const struct lb_flow_key *key, struct lb_flow *flow)
{
	flow->packets++;
	flow->seen = flows->now;
	if (flows->put)
		flows->put(flows->context, key, flow);
}

static bool look(const struct flows_packet *packet, struct lb_flow_query *query)
{
	uint32_t of = LB_FLOW_OF(LB_FLOW_TUPLE, packet->vip, packet->ip_version);

	if (!lb_flow_tuple(&query->key, packet->ip, packet->udp, packet->end, of))
		return false;
	lb_flow_look(query, packet->udp + 8, packet->payload_length, packet->end);
	return true;
}

/* The connection ID is its server's: its own entry shall last as long. */
static void tell_cid(const struct flows *flows, const struct lb_flow *flow, uint32_t of,
		     struct lb_flow_key *add)
{
	struct lb_flow_key key = lb_flow_cid_key(flow->cid, of);
	struct lb_flow known;

	if (!get(flows, &key, &known)) {
		*add = key;
	} else if (known.server == flow->server) {
		known.flags = flow->flags;
		touch(flows, &key, &known);
	}
}

static uint32_t met(const struct flows *flows, const struct lb_flow_query *query,
		    const struct lb_flow_key *key, struct lb_flow *flow, struct lb_flow_key *add,
		    uint32_t *flags)
{
	uint32_t shift = flows->setting->recent_shift, learnt = lb_flow_learn(flow, query);
	bool tell = learnt != flow->flags || flow->seen >> shift != flows->now >> shift;

	flow->flags = learnt;
	if (query->form & LB_FLOW_CID && !lb_flow_has_cid(flow, query)) {
		flow->cid[0] = query->cid[0];
		flow->cid[1] = query->cid[1];
		tell = true;
	}
	touch(flows, key, flow);
	*flags = learnt;
	if (tell && learnt & LB_FLOW_LONG_CID && query->form & LB_FLOW_CID)
		tell_cid(flows, flow, key->of, add);
	return flow->server;
}

uint32_t flows_route(const struct flows *flows, const struct flows_packet *packet,
		     enum lb_reason *reason, struct lb_flow_key *add, uint32_t *flags)
{
	struct lb_flow_query query;
	struct lb_flow flow, known;
	struct lb_flow_key key;
	bool found;

	*add = (struct lb_flow_key){};
	*flags = 0;
	if (!look(packet, &query))
		return 0;
	*reason = LB_REASON_flow;
	key = query.key;
	found = get(flows, &key, &flow);
	if (found && lb_flow_matches(&flow, &query))
		return met(flows, &query, &key, &flow, add, flags);
	if (query.form & LB_FLOW_LONG) {
		/* The tuple's own entry may be another connection's. */
		*add = query.key;
		lb_flow_to_scid(&key, query.scid);
		if (found)
			*add = key;
		if (!get(flows, &key, &flow))
			return 0;
		*add = (struct lb_flow_key){};
		return met(flows, &query, &key, &flow, add, flags);
	}
	if (query.form & LB_FLOW_CID) {
		struct lb_flow_key cid = lb_flow_cid_key(query.cid, key.of);

		if (get(flows, &cid, &known)) {
			touch(flows, &cid, &known);
			*reason = LB_REASON_flow_cid;
			*flags = known.flags;
			/* The connection went on with another ID, or where a NAT sends it from now. */
			if (!found)
				*add = query.key;
			else if (flow.server == known.server)
				met(flows, &query, &key, &flow, add, flags);
			return known.server;
		}
	}
	if (found)
		return met(flows, &query, &key, &flow, add, flags);
	*add = query.key;
	return 0;
}

void flows_add(const struct flows *flows, const struct flows_packet *packet,
	       const struct lb_flow_key *add, uint32_t flags, uint32_t server)
{
	struct lb_flow_query query;
	struct lb_flow fresh = { .server = server, .packets = 1, .flags = flags }, old;
	enum lb_flow_counter counter = LB_FLOW_COUNT_added;

	if (!add->of || !flows->put || !look(packet, &query) ||
	    !flows->afford(flows->context, packet->vip))
		return;
	if (add->of >> 24 == LB_FLOW_DCID)
		counter = LB_FLOW_COUNT_cid_added;
	else if (flows->find(flows->context, add, &old))
		counter = LB_FLOW_COUNT_expired;
	fresh.born = fresh.seen = flows->now;
	fresh.cid[0] = query.cid[0];
	fresh.cid[1] = query.cid[1];
	fresh.scid = query.scid;
	if (!flows->put(flows->context, add, &fresh))
		counter = LB_FLOW_COUNT_full;
	flows->count(flows->context, counter);
}
