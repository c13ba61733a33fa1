/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a plan says in setting_map, with the file's seconds in jiffies.
 */
#ifndef SHUNT_SETTING_H
#define SHUNT_SETTING_H

#include "plan.h"

/*
 * sizes: of the maps. before: what packets go by now, NULL: no packet has been there yet, so that nothing is
 * remembered. Where its times had other units or lengths, flow_recent_map is not asked until they are over.
 */
struct lb_setting setting_of(const struct plan *plan, const struct plan_sizes *sizes, uint32_t half,
			     const struct lb_setting *before);

/* Whether flow_recent_map, written by what `before` says, tells of every flow by what `now` says. */
bool setting_keeps_recent(const struct lb_setting *before, const struct lb_setting *now);

#endif
