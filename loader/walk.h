/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Attaches the best tiers an interface has, and keeps for each one it could not use why. What attach
 * and run share; prints nothing.
 */
#ifndef SHUNT_WALK_H
#define SHUNT_WALK_H

#include "apply.h"
#include "attach.h"
#include "config.h"

struct walk_request {
	const char *interface;
	enum tier only; /* TIER_NONE: offload, then driver or else generic */
	enum tier require; /* nothing below it will do; TIER_NONE: any tier */
	struct attach_options options;
	const struct config *config; /* is applied; NULL: attached tiers keep what they have */
	bool served; /* by loader run: the tier userspace below whatever else there is */
	int timeout_ms; /* for neighbours */
};

enum walk_state { WALK_UNTRIED, WALK_NO, WALK_YES };

struct walk_tier {
	enum walk_state state;
	struct reason reason; /* WALK_NO: why */
	/* WALK_YES */
	enum attach_outcome outcome;
	struct attachment attachment;
	struct apply_result applied;
};

struct walk {
	struct walk_tier tiers[TIER_COUNT];
};

/*
 * The request for an interface by its entry in the file, if it has one, and the file's sizes. config
 * NULL: the sizes of an empty file.
 */
void walk_request_init(struct walk_request *request, const char *interface,
		       const struct config *config);

/*
 * 0 if some tier is attached that is good enough. Else what was newly attached is off again, and the
 * reason is the wanted tier's. walk_free() in either case.
 */
int walk_tiers(const struct walk_request *request, struct walk *walk, struct reason *reason);
void walk_free(struct walk *walk);

#endif
