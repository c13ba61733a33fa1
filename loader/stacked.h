/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What two stacked tiers of an interface have in common: which CID config of the one is which of the other,
 * and the card's tables with the host's keys. Reads maps; writes nothing.
 */
#ifndef SHUNT_STACKED_H
#define SHUNT_STACKED_H

#include "plan.h"
#include "sync.h"

/* A CID config in a pool. */
struct stacked_cid {
	uint32_t card,
		host; /* LB_CID_INDEX() in each, for each gives its pools numbers of its own */
	uint32_t host_tag; /* 0: not one whose CIDs the card can be told of */
};

struct stacked {
	uint32_t card_generation, host_generation;
	struct config *config; /* the card's */
	struct plan *plan; /* NULL: the two run different files, so nothing is known of CIDs */
	uint32_t n;
	struct stacked_cid *cids;
	uint32_t n_known; /* those with a host_tag */
};

/*
 * 0, -ENOENT if one of them runs nothing yet, or -errno: the maps cannot be read. stacked_free() in
 * either case.
 */
int stacked_read(const struct map_set *card, const struct map_set *host, struct stacked *stacked);
/* Whether one of them runs something else by now. 0, 1 or -errno. */
int stacked_is_old(const struct stacked *stacked, const struct map_set *card,
		   const struct map_set *host);
/* By the host's index, NULL: there is none. */
const struct stacked_cid *stacked_by_host(const struct stacked *stacked, uint32_t index);
/* "web/web-1" of a number, into a buffer of STACKED_NAME. */
const char *stacked_server_name(const struct stacked *stacked, uint32_t number, char *name);
#define STACKED_NAME (2 * CONFIG_NAME_MAX + 2)
void stacked_free(struct stacked *stacked);

#endif
