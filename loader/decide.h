/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a packet goes, worked out in user space: the data path's own steps over tables in memory. Pure: no
 * kernel, no maps. Not reentrant.
 */
#ifndef SHUNT_DECIDE_H
#define SHUNT_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flows.h"
#include "plan.h"

/* One generation. Not owned. */
struct decide_tables {
	uint32_t number; /* 0: nothing was applied */
	const struct lb_bucket *vip_table, *sid_table;
	uint32_t vip_buckets, sid_buckets;
	const struct lb_cid_config *cids;
	const struct lb_cid_key *keys;
	uint32_t n_cids;
	const uint32_t *rows;
	uint32_t n_rows, row_mask;
	const struct lb_server *servers; /* by number */
	uint32_t n_servers;
	const struct flows *flows; /* NULL: nobody remembers them */
	/* For ICMP, which is left alone without. */
	const struct lb_setting *setting;
	const struct lb_bucket *address_table;
	uint32_t address_buckets;
};

struct decision {
	uint32_t reason; /* enum lb_reason */
	uint32_t server; /* number, 0: goes nowhere */
	uint32_t vip; /* number, 0: for none */
	uint32_t pool; /* of the VIP */
	uint32_t config_id; /* if a connection ID decided */
	uint32_t shape; /* LB_SHAPE() */
	const uint8_t *ip, *udp; /* in the frame; NULL: it has none */
	uint32_t link_length, ip_length, payload_length;
	const uint8_t *message, *quote; /* of an ICMP error, which quotes udp; else NULL */
};

struct decide_tables decide_tables_of(const struct plan *plan);

/*
 * The server of a frame: by its connection ID, or by the row of its 4-tuple. What is too rare for the other
 * tiers to look behind is looked behind here: as many extension headers as there are.
 */
void decide_frame(const struct decide_tables *tables, const uint8_t *frame, size_t length,
		  struct decision *decision);
/* The same, where only the first `readable` octets of a frame of that length are there. */
void decide_part(const struct decide_tables *tables, const uint8_t *frame, size_t readable,
		 size_t length, struct decision *decision);

/*
 * conn_map's entry for an encrypted connection ID under a plan. index: LB_CID_INDEX() of its config.
 * cid: LB_CID_MAX octets from the CID's first one on. False if the plan knows no such config, the config
 * is clear, or the CID names no server.
 */
bool decide_known(const struct plan *plan, uint32_t index, const uint8_t *cid,
		  struct lb_conn_key *key, uint32_t *server);
/* The same for the connection ID of a frame; false also if the frame has none for a VIP. */
bool decide_known_frame(const struct plan *plan, const uint8_t *frame, size_t length,
			struct lb_conn_key *key, uint32_t *server);

#endif
