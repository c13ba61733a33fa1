/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was applied, as octets to be kept with the maps: the configuration and the numbers of its names. Pure.
 */
#ifndef SHUNT_APPLIED_H
#define SHUNT_APPLIED_H

#include "pack.h"
#include "plan.h"

/* Into an empty pack. 0 or -ENOMEM. */
int applied_pack(const struct plan *plan, struct pack *pack);
/*
 * From what pack holds, which may be longer. sizes: of the maps that the numbers are for. 0 (free both),
 * -EINVAL: these are not octets of applied_pack(), -ENOMEM.
 */
int applied_unpack(struct pack *pack, const struct plan_sizes *sizes, struct config **config,
		   struct plan_numbers **numbers);

#endif
