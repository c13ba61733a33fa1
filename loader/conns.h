/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a card knows of encrypted CIDs: the entries of its conn_map. Each is a message to the card.
 */
#ifndef SHUNT_CONNS_H
#define SHUNT_CONNS_H

#include "sync.h"

struct conns_entry {
	struct lb_conn_key key;
	struct lb_conn conn;
};

/* How many there are; 0 where the tier has no such map. */
uint32_t conns_count(const struct map_set *set);
/* All of them, those with the most packets first. *list: free(). 0 or -errno. */
int conns_read(const struct map_set *set, struct conns_entry **list, uint32_t *n);

#endif
