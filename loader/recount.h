/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is new with an apply starts counting at zero: numbers that go to another server or VIP, CID
 * configs that mean something else. sync.c calls it around the turn.
 */
#ifndef SHUNT_RECOUNT_H
#define SHUNT_RECOUNT_H

#include "sync.h"

/* before, now: numbers as plan_numbers_json() gives them. What nobody has is cleared before the turn. */
void recount_before(const struct map_set *set, const json_t *before, json_t *now);
/* And what somebody had until then is cleared after it. running: NULL if nothing ran. */
void recount_after(const struct map_set *set, const struct config *running, const json_t *before,
		   const struct plan *plan, json_t *now);

#endif
