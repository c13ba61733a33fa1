/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The interfaces that the service looks after: attached, applied, gone, back. Knows no events; tells
 * the log what changed, and nothing when nothing did.
 */
#ifndef SHUNT_UPKEEP_H
#define SHUNT_UPKEEP_H

#include <net/if.h>

#include "config.h"
#include "reason.h"
#include "tier.h"

struct upkeep_interface {
	struct config_interface wanted;
	uint32_t ifindex; /* that it is attached on, 0: it is not */
	enum reason_code failure; /* that has been told about already */
	bool owed; /* the configuration has still to get there, whatever runs */
	uint32_t compared[TIER_COUNT]; /* generation that was ours when we looked last; 0: any */
	uint32_t foreign[TIER_COUNT]; /* generation somebody else applied, left alone; 0: none */
};

struct upkeep {
	struct config *config; /* owned */
	uint32_t n;
	struct upkeep_interface *list;
	int64_t deadline; /* of this round of attaching or applying, for next hops */
	uint32_t n_servers;
	json_t *unresolved; /* servers without a way, as apply.h gives them; has been told */
};

/* Takes the config over, also on failure. */
int upkeep_init(struct upkeep *upkeep, struct config *config, struct reason *reason);
void upkeep_free(struct upkeep *upkeep);

/* Attaches all, with timeout_ms for next hops in total. The first failure ends it. */
int upkeep_attach(struct upkeep *upkeep, int timeout_ms, struct reason *reason);
/*
 * Somebody else may have applied meanwhile. What came from the file, which load() reads as it is now
 * (NULL: it has errors), is taken over; anything else is left alone until upkeep_change().
 */
void upkeep_compare(struct upkeep *upkeep, const char *path,
		    struct config *(*load)(const char *path));
/* The ways may have changed, or an interface has gone or come back: brings everything up to date. */
void upkeep_update(struct upkeep *upkeep);
/*
 * Changes to another file's configuration, which is taken over; upkeep_update() has to follow. If
 * some attached tier cannot hold it all stays as it was.
 */
int upkeep_change(struct upkeep *upkeep, struct config *config, struct reason *reason);
/* Some interface of the file is not attached. */
bool upkeep_incomplete(const struct upkeep *upkeep);
uint32_t upkeep_unresolved(const struct upkeep *upkeep);

#endif
