/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A copy in memory of the generation that a tier's maps hold: what decide.h works on, without a system call
 * a packet. Reads maps and nothing else.
 */
#ifndef SHUNT_TABLES_H
#define SHUNT_TABLES_H

#include "decide.h"
#include "sync.h"

struct tables {
	struct decide_tables view; /* of what follows */
	struct lb_setting setting;
	uint32_t half;
	struct lb_bucket *vip, *sid, *address;
	struct lb_cid_config *cids;
	struct lb_cid_key *keys; /* wiped by tables_free() */
	uint32_t *rows;
	struct lb_server *servers;
	struct lb_vip *vips;
	uint32_t n_vips, n_addresses;
};

/* 1: another generation than *tables has, or the same `again`, was read; 0: it is the same; -errno: it stays. */
int tables_follow(const struct map_set *set, struct tables *tables, bool again);
/* The setting anew, of which some is written between applies. */
void tables_refresh(const struct map_set *set, struct tables *tables);
void tables_free(struct tables *tables);

#endif
