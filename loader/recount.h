/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is new with an apply starts counting at zero: numbers that go to another server or VIP, CID
 * configs that mean something else. sync.c calls it around the turn.
 */
#ifndef SHUNT_RECOUNT_H
#define SHUNT_RECOUNT_H

#include "sync.h"

/* before: what runs, NULL if nothing does. What nobody has is cleared before the turn. */
void recount_before(const struct map_set *set, const struct plan_numbers *before,
		    const struct plan *plan);
/* And what somebody had until then is cleared after it. */
void recount_after(const struct map_set *set, const struct plan_numbers *before,
		   const struct plan *plan);

#endif
