/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What user space does with conn_track: goes through it, throws out what is over or is to go, hands it on to
 * other maps. Prints nothing, and knows no names.
 */
#ifndef SHUNT_FLOW_TABLE_H
#define SHUNT_FLOW_TABLE_H

#include "sync.h"

#define FLOW_TABLE_AT_ONCE 4096

/* A walk through conn_track, some at a time. Closed with flow_table_close(). */
struct flow_table {
	const struct map_set *set;
	struct lb_setting setting; /* that packets go by */
	uint32_t now; /* jiffies, when it began */
	bool begun, ended;
	uint32_t place; /* the kernel's: where the next ones begin */
	uint32_t n;
	struct lb_flow_key *keys;
	struct lb_flow *list;
};

/* 0, or -errno; -ENOTSUP: the set is a card's, which has no flows. now: jiffies, NULL: asks. */
int flow_table_open(struct flow_table *flows, const struct map_set *set, const uint32_t *now);
/* Reads the next ones: whether there are any; *err: what stopped it, if anything. */
bool flow_table_next(struct flow_table *flows, int *err);
void flow_table_close(struct flow_table *flows);

bool flow_table_is_over(const struct flow_table *flows, const struct lb_flow *flow);
/* Deletes it, whatever has become of it since it was read. */
void flow_table_delete(const struct flow_table *flows, uint32_t i);
/* That of the connection ID which it used last. */
void flow_table_delete_cid(const struct flow_table *flows, uint32_t i);

/* Deletes all of those servers: gone[number], for as many numbers as the set has. 0 or -errno. */
int flow_table_forget_servers(const struct map_set *set, const bool *gone);
/*
 * For maps that take the place of others, after sync_apply(): what those remember, if it is not one conn_track
 * for both.
 */
void flow_table_carry(const struct map_set *from, const struct map_set *to);
/* Whether both have one conn_track between them. */
bool flow_table_is_one(const struct map_set *set, const struct map_set *other);
/* What a CPU may add in a second, until then, in jiffies. Nobody else may write settings meanwhile. */
void flow_table_tell_room(const struct map_set *set, uint32_t room, uint32_t until);
/* Whether a new map of these sizes may be the old one. */
bool flow_table_fit(const struct map_set *set, const struct plan_sizes *sizes);

#endif
