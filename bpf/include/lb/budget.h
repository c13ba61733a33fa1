/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a CPU may do in a second, of what costs more than a packet: flow_budget_map.
 */
#ifndef LB_BUDGET_H
#define LB_BUDGET_H

#include "lb/maps.h"

/* entry: VIP number, 0: of all. What this CPU has used in this second. NULL: no such VIP. */
static LB_INLINE struct lb_flow_budget *lb_budget(const struct lb_setting *setting, __u32 entry,
						  __u32 now)
{
	struct lb_flow_budget *budget = bpf_map_lookup_elem(&flow_budget_map, &entry);

	if (budget && now - budget->second >= setting->second_ticks) {
		budget->second = now;
		budget->used = 0;
	}
	return budget;
}

#endif
