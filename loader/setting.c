/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts tracking's limits and times into the words that packets read. See setting.h.
 */
#include "setting.h"

#include "clock.h"
#include "sync.h"

/*
 * The longer time in units of flow_recent_map: as few as tell a handshake's from it, for each more makes what is
 * long over seem to last more often.
 */
#define UNITS_AT_MOST 32

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t unit_shift(uint32_t longer)
{
	uint32_t shift = 0;

	while (longer >> shift > UNITS_AT_MOST)
		shift++;
	return shift;
}

static uint32_t ticks(uint32_t seconds)
{
	return (uint32_t)clock_ticks(seconds);
}

bool setting_keeps_recent(const struct lb_setting *before, const struct lb_setting *now)
{
	/* A time that has grown is longer than what was written; with a shorter life what was written is beyond it. */
	return before->flow_mask == now->flow_mask && before->recent_shift == now->recent_shift &&
	       before->recent_life == now->recent_life &&
	       before->handshake_ticks >= now->handshake_ticks &&
	       before->established_ticks >= now->established_ticks;
}

/* Since when flow_recent_map tells of every flow. */
static uint32_t recent_since(const struct lb_setting *setting, const struct lb_setting *before)
{
	uint64_t now = 0;

	if (before && setting_keeps_recent(before, setting))
		return before->recent_since;
	clock_jiffies(&now);
	return (uint32_t)now - (before ? 0 : (setting->recent_life + 2) << setting->recent_shift);
}

struct lb_setting setting_of(const struct plan *plan, const struct plan_sizes *sizes, uint32_t half,
			     const struct lb_setting *before)
{
	const struct config_tracking *tracking = &plan->config->tracking;
	struct lb_setting setting = {
		.address_base = half * sizes->address_buckets,
		.address_mask = sizes->address_buckets - 1,
		.vip_base = half * (sizes->vips + 1),
		.has_nat = plan->has_nat,
		.flow_inserts = tracking->budget,
		/* At least one, or a share of a small budget would be none. */
		.vip_inserts =
			(uint32_t)((tracking->budget * (uint64_t)tracking->vip_share + 99) / 100),
		.handshake_ticks = ticks(tracking->handshake_timeout),
		.established_ticks = ticks(tracking->idle_timeout),
		.answers = plan->config->icmp_answers,
		.ingress_mtu = plan->ingress_mtu,
		.stack_servers = LB_STACK_VIP(LB_INGRESS, sizes->vips + 1),
		.second_ticks = ticks(1),
		.room = UINT32_MAX,
	};
	uint32_t longer = larger(setting.handshake_ticks, setting.established_ticks);

	if (plan->config->limits.flows)
		setting.flow_mask =
			map_set_entries(LB_MAP_FLOW_RECENT, sizes) * LB_RECENT_SLOTS - 1;
	setting.recent_shift = unit_shift(longer);
	setting.recent_life = (longer >> setting.recent_shift) + 1;
	setting.recent_since = recent_since(&setting, before);
	return setting;
}
