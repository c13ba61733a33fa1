/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The data path's own headers, compiled for the host, over tables in memory. See decide.h.
 */
#include "decide.h"

#include <string.h>

#include "user_profile.h"

#include "lb/parse.h"
#include "lb/icmp.h"
#include "lb/route.h"
#include "lb/vip.h"

struct decide_tables decide_tables_of(const struct plan *plan)
{
	const struct plan_sizes *sizes = &plan->sizes;

	return (struct decide_tables){
		.number = 1,
		.vip_table = plan->vip_table,
		.vip_buckets = sizes->vip_buckets,
		.sid_table = plan->sid_table,
		.sid_buckets = sizes->sid_buckets,
		.cids = plan->cids,
		.keys = plan->keys,
		.n_cids = plan->n_cids,
		.rows = plan->rows,
		.n_rows = sizes->rows,
		.row_mask = (1u << plan->row_shift) - 1,
		.servers = plan->servers,
		.n_servers = sizes->servers,
	};
}

/* One generation, and nothing in front of it. */
static struct lb_generation point_at(const struct decide_tables *tables)
{
#define TABLE(table, entries) \
	((struct lb_host_map){ .values = (table), .n = (entries), .size = sizeof(*(table)) })
	vip_map = TABLE(tables->vip_table, tables->vip_buckets);
	sid_map = TABLE(tables->sid_table, tables->sid_buckets);
	cid_config_map = TABLE(tables->cids, tables->n_cids);
	cid_key_map = TABLE(tables->keys, tables->n_cids);
	row_map = TABLE(tables->rows, tables->n_rows);
	address_map = TABLE(tables->address_table, tables->address_buckets);
#undef TABLE
	return (struct lb_generation){
		.number = tables->number,
		.vip_mask = tables->vip_buckets - 1,
		.sid_mask = tables->sid_buckets - 1,
		.row_mask = tables->row_mask,
	};
}

/* As lb_route_by_flow() of lb/track.h. */
static enum lb_step route_by_flow(struct lb_pkt *pkt, const struct flows *flows)
{
	const struct flows_packet packet = {
		.ip = pkt->ip,
		.udp = pkt->udp,
		.end = pkt->end,
		.payload_length = pkt->payload_length,
		.ip_version = pkt->ip_version,
		.vip = LB_VIP_NUMBER(pkt->vip),
	};
	enum lb_reason reason = LB_REASON_flow;
	enum lb_step step = LB_FORWARD;
	struct lb_flow_key add;
	uint32_t server, flags;

	if (!flows || !flows->setting->flow_mask)
		return lb_route_by_tuple(pkt);
	server = flows_route(flows, &packet, &reason, &add, &flags);
	if (server)
		pkt->route = LB_ROUTE(server, reason, 0);
	else
		step = lb_route_by_tuple(pkt);
	if (step == LB_FORWARD)
		flows_add(flows, &packet, &add, flags, LB_ROUTE_SERVER(pkt->route));
	return step;
}

static enum lb_step route(struct lb_pkt *pkt, const struct flows *flows)
{
	enum lb_step step;

	if (!pkt->generation->number)
		return lb_pass(pkt, LB_REASON_no_config);
	step = lb_find_vip(pkt);
	if (step == LB_NEXT)
		step = lb_route_by_cid(pkt);
	if (step == LB_NEXT)
		step = route_by_flow(pkt, flows);
	return step;
}

/* As lb_icmp_by_flow() of lb/icmp_send.h. */
static uint32_t icmp_by_flow(const struct lb_icmp *icmp, const struct lb_pkt *pkt,
			     const struct flows *flows)
{
	struct lb_flow_key key = {};
	struct lb_flow flow;
	uint32_t scid;
	bool found;

	if (!flows || !flows->setting->flow_mask)
		return 0;
	scid = lb_icmp_flow(&key, icmp, pkt->end, pkt->ip_version, pkt->vip);
	found = flows->find(flows->context, &key, &flow);
	if (found && scid && flow.scid != scid) {
		lb_flow_to_scid(&key, scid);
		found = flows->find(flows->context, &key, &flow);
	}
	return found && !lb_flow_expired(&flow, flows->setting, flows->now) ? flow.server : 0;
}

/* The server that an ICMP error for a VIP concerns: by connection ID, flow, row. */
static void route_icmp(const struct decide_tables *tables, struct lb_pkt *pkt, struct lb_icmp *icmp)
{
	struct lb_setting setting = *tables->setting;
	enum lb_reason reason;
	uint32_t server;

	setting.address_base = 0;
	reason = lb_icmp_find(icmp, pkt->ip, pkt->end, pkt->ip_version, pkt->generation, &setting,
			      &pkt->vip);
	pkt->route = LB_ROUTE(0, reason, 0);
	if (reason != LB_REASON_icmp)
		return;
	server = lb_icmp_by_cid(NULL, icmp, pkt->end, pkt->generation, pkt->vip);
	if (!server)
		server = icmp_by_flow(icmp, pkt, tables->flows);
	if (!server)
		server = lb_icmp_by_row((uint32_t)lb_icmp_hash(icmp, pkt->end, pkt->ip_version),
					pkt->generation, pkt->vip);
	pkt->route = LB_ROUTE(server, server ? LB_REASON_icmp : LB_REASON_no_server, 0);
	pkt->udp = icmp->udp;
	pkt->shape = LB_SHAPE(pkt->link_length - 2, pkt->ip_version, pkt->ttl);
}

static bool is_icmp(const struct decide_tables *tables, const struct lb_pkt *pkt)
{
	const uint8_t *ip = pkt->ip;

	return tables->setting && tables->number &&
	       LB_ROUTE_REASON(pkt->route) == LB_REASON_not_udp &&
	       ip + LB_IPV6_LENGTH <= (const uint8_t *)pkt->end && lb_is_icmp(ip, pkt->ip_version);
}

void decide_frame(const struct decide_tables *tables, const uint8_t *frame, size_t length,
		  struct decision *decision)
{
	decide_part(tables, frame, length, length, decision);
}

void decide_part(const struct decide_tables *tables, const uint8_t *frame, size_t readable,
		 size_t length, struct decision *decision)
{
	struct lb_generation generation = point_at(tables);
	struct lb_pkt pkt = { .generation = &generation };
	struct lb_icmp icmp = {};

	if (lb_parse(&pkt, frame, frame + readable, (__u32)length) == LB_NEXT)
		route(&pkt, tables->flows);
	else if (is_icmp(tables, &pkt))
		route_icmp(tables, &pkt, &icmp);
	*decision = (struct decision){
		.reason = LB_ROUTE_REASON(pkt.route),
		.server = LB_ROUTE_SERVER(pkt.route),
		.vip = LB_VIP_NUMBER(pkt.vip),
		.pool = LB_VIP_POOL(pkt.vip),
		.config_id = LB_ROUTE_CONFIG_ID(pkt.route),
		.shape = pkt.shape,
		.ip = pkt.ip,
		.udp = pkt.udp,
		.link_length = pkt.link_length,
		.ip_length = pkt.ip_length,
		.payload_length = pkt.payload_length,
		.message = LB_ROUTE_REASON(pkt.route) == LB_REASON_icmp ? icmp.message : NULL,
		.quote = icmp.quote,
	};
}

bool decide_known(const struct plan *plan, uint32_t index, const uint8_t *cid,
		  struct lb_conn_key *key, uint32_t *server)
{
	struct decide_tables tables = decide_tables_of(plan);
	struct lb_generation generation = point_at(&tables);
	uint8_t packet[LB_CID_LEAD + LB_CID_MAX] = {}; /* in front of the body, as in a packet */
	struct lb_dcid dcid = { .octets = packet + LB_CID_LEAD - 1, .length = LB_CID_MAX };
	const struct lb_cid_config *config = index < plan->n_cids ? &plan->cids[index] : NULL;
	uint32_t words[LB_KEY_WORDS];
	struct lb_table_key sid;

	if (!config || config->algorithm == LB_CID_UNSET || config->algorithm == LB_CID_CLEAR)
		return false;
	memcpy(packet + LB_CID_LEAD - 1, cid, LB_CID_MAX);
	if (lb_cid_config_id(*dcid.octets) != (index & LB_CONFIG_RESERVED) ||
	    lb_cid_server_id(config, &plan->keys[index], dcid.octets, packet + sizeof(packet),
			     words) != LB_REASON_cid)
		return false;
	words[4] = LB_SID_KEY(index >> 3, index & LB_CONFIG_RESERVED);
	sid = lb_table_key(words);
	*server = lb_table_find(&sid_map, &sid, &generation.sid_base);
	memcpy(words, cid, sizeof(words));
	*key = (struct lb_conn_key){ .config = index, .tag = config->tag };
	for (int i = 0; i < LB_CID_WORDS; i++)
		key->cid[i] = words[i] & config->match[i];
	return *server;
}

bool decide_known_frame(const struct plan *plan, const uint8_t *frame, size_t length,
			struct lb_conn_key *key, uint32_t *server)
{
	struct decide_tables tables = decide_tables_of(plan);
	struct lb_generation generation = point_at(&tables);
	struct lb_pkt pkt = { .generation = &generation };
	struct lb_dcid dcid;

	if (lb_parse(&pkt, frame, frame + length, (__u32)length) != LB_NEXT ||
	    lb_find_vip(&pkt) != LB_NEXT || lb_route_by_cid(&pkt) != LB_FORWARD ||
	    !lb_quic_dcid((const __u8 *)pkt.udp + LB_UDP_LENGTH, pkt.payload_length, pkt.end,
			  &dcid) ||
	    dcid.octets + LB_CID_MAX > (const __u8 *)pkt.end)
		return false;
	return decide_known(plan, LB_CID_INDEX(LB_VIP_POOL(pkt.vip), LB_ROUTE_CONFIG_ID(pkt.route)),
			    dcid.octets, key, server);
}
