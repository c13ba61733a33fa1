/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a CID config may go or change: not while packets still come that mean the old one. Reads
 * when each config last routed a packet; changes nothing.
 */
#ifndef SHUNT_ROTATION_H
#define SHUNT_ROTATION_H

#include <stdbool.h>

#include "config.h"
#include "reason.h"
#include "sync.h"

struct rotation_use {
	struct lb_count count; /* packets it routed since it was first applied */
	bool seen; /* it routed one at all */
	double quiet; /* seconds since the last one, if it did */
	bool unknown; /* it routed some on a card while nobody kept the time */
};

/*
 * One config's use in one tier, over all pools it is for. numbers: see plan_build(). kept: the times of
 * the tier's interface are kept for its card, too; see seen.h. 0 or -errno.
 */
int rotation_use(const struct map_set *set, const struct config *config,
		 const struct plan_numbers *numbers, const struct config_cid *cid, bool kept,
		 struct rotation_use *use);
/* Whether there is anything to check: a config goes or changes, or an id is new. */
bool rotation_is_due(const struct config *running, const struct config *after);
/*
 * Every config of `running` that `after` drops or gives another meaning (key, lengths) has to have been
 * quiet for after->min_quiet seconds. Else -EBUSY and REASON_CONFIG_IN_USE, naming the first that has
 * not. So has an id that is new in `after`, for it may have been dropped by force. A card keeps no times:
 * those of the tier below it count, or else nothing may go that it ever routed by.
 */
int rotation_check(const struct map_set *set, const struct config *running,
		   const struct plan_numbers *numbers, const struct config *after, bool kept,
		   struct reason *reason);

#endif
