/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The data path's own headers, compiled for the host, over a plan's tables. See decide.h.
 */
#include "decide.h"

#include <string.h>

#define LB_MAY_PERCPU	0
#define LB_MAY_REDIRECT 0
#define LB_MAY_AES	1
#define LB_MAY_GUE	0
#define LB_MAY_TRACK	0
#include "lb/parse.h"
#include "lb/route.h"
#include "lb/vip.h"

/* One generation, and nothing in front of it. */
static struct lb_generation point_at(const struct plan *plan)
{
	const struct plan_sizes *sizes = &plan->sizes;

#define TABLE(table, entries) \
	((struct lb_host_map){ .values = (table), .n = (entries), .size = sizeof(*(table)) })
	vip_map = TABLE(plan->vip_table, sizes->vip_buckets);
	sid_map = TABLE(plan->sid_table, sizes->sid_buckets);
	cid_config_map = TABLE(plan->cids, plan->n_cids);
	cid_key_map = TABLE(plan->keys, plan->n_cids);
#undef TABLE
	return (struct lb_generation){
		.number = 1,
		.vip_mask = sizes->vip_buckets - 1,
		.sid_mask = sizes->sid_buckets - 1,
	};
}

bool decide_known(const struct plan *plan, uint32_t index, const uint8_t *cid,
		  struct lb_conn_key *key, uint32_t *server)
{
	struct lb_generation generation = point_at(plan);
	uint8_t packet[LB_CID_LEAD + LB_CID_MAX] = {}; /* in front of the body, as in a packet */
	struct lb_dcid dcid = { .octets = packet + LB_CID_LEAD - 1, .length = LB_CID_MAX };
	const struct lb_cid_config *config = index < plan->n_cids ? &plan->cids[index] : NULL;
	uint32_t words[LB_KEY_WORDS];
	struct lb_table_key sid;

	if (!config || config->algorithm == LB_CID_UNSET || config->algorithm == LB_CID_CLEAR)
		return false;
	memcpy(packet + LB_CID_LEAD - 1, cid, LB_CID_MAX);
	if (lb_cid_config_id(*dcid.octets) != (index & LB_CONFIG_RESERVED) ||
	    lb_cid_server_id(config, &plan->keys[index], &dcid, packet + sizeof(packet), words) !=
		    LB_REASON_cid)
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
	struct lb_generation generation = point_at(plan);
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
