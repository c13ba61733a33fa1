/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * System calls on conn_track. See tracked.h.
 */
#include "tracked.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

struct tracked {
	struct flows flows;
	const struct map_set *set;
	struct tally *tally;
	/* The kernel's clock at a time of ours. */
	uint64_t jiffies;
	int64_t ns, tick_ns;
	/* What was remembered in this second. */
	uint32_t second, used, n_vips;
	uint32_t *used_by_vip;
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static bool find(void *context, const struct lb_flow_key *key, struct lb_flow *flow)
{
	const struct tracked *tracked = context;

	return !bpf_map_lookup_elem(tracked->set->conn_track, key, flow);
}

static bool put(void *context, const struct lb_flow_key *key, const struct lb_flow *flow)
{
	const struct tracked *tracked = context;

	return !bpf_map_update_elem(tracked->set->conn_track, key, flow, BPF_ANY);
}

static bool refuse(struct tracked *tracked, enum lb_flow_counter why)
{
	tally_flow(tracked->tally, why);
	return false;
}

/* As lb_afford() of lb/track.h. */
static bool afford(void *context, uint32_t vip)
{
	struct tracked *tracked = context;
	const struct lb_setting *setting = tracked->flows.setting;
	uint32_t now = tracked->flows.now;

	if (now - tracked->second >= setting->second_ticks) {
		tracked->second = now;
		tracked->used = 0;
		memset(tracked->used_by_vip, 0, tracked->n_vips * sizeof(*tracked->used_by_vip));
	}
	if (tracked->used >= setting->flow_inserts)
		return refuse(tracked, LB_FLOW_COUNT_over_budget);
	if (tracked->used >= setting->room && (int32_t)(setting->room_until - now) > 0)
		return refuse(tracked, LB_FLOW_COUNT_full);
	if (vip >= tracked->n_vips || tracked->used_by_vip[vip] >= setting->vip_inserts)
		return refuse(tracked, LB_FLOW_COUNT_over_share);
	tracked->used++;
	tracked->used_by_vip[vip]++;
	return true;
}

static void count(void *context, enum lb_flow_counter counter)
{
	const struct tracked *tracked = context;

	tally_flow(tracked->tally, counter);
}

struct tracked *tracked_new(const struct map_set *set, struct tally *tally, bool writes)
{
	struct tracked *tracked = calloc(1, sizeof(*tracked));

	if (!tracked)
		return NULL;
	*tracked = (struct tracked){ .set = set, .tally = tally, .n_vips = set->sizes.vips + 1 };
	tracked->flows = (struct flows){
		.context = tracked,
		.find = find,
		.put = writes ? put : NULL,
		.afford = afford,
		.count = count,
	};
	tracked->used_by_vip = calloc(tracked->n_vips, sizeof(*tracked->used_by_vip));
	if (!tracked->used_by_vip) {
		free(tracked);
		return NULL;
	}
	tracked_set_clock(tracked);
	return tracked;
}

void tracked_free(struct tracked *tracked)
{
	if (!tracked)
		return;
	free(tracked->used_by_vip);
	free(tracked);
}

void tracked_set_clock(struct tracked *tracked)
{
	uint64_t jiffies;

	tracked->ns = now_ns();
	tracked->tick_ns = 0;
	if (clock_jiffies(&jiffies))
		return;
	tracked->jiffies = jiffies;
	tracked->tick_ns = 1000000000LL / (int64_t)clock_ticks(1);
}

uint64_t tracked_jiffies(const struct tracked *tracked)
{
	return tracked->tick_ns ?
		       tracked->jiffies + (uint64_t)((now_ns() - tracked->ns) / tracked->tick_ns) :
		       0;
}

const struct flows *tracked_turn(struct tracked *tracked, const struct lb_setting *setting)
{
	if (!tracked->tick_ns)
		return NULL;
	tracked->flows.setting = setting;
	tracked->flows.now = (uint32_t)tracked_jiffies(tracked);
	return &tracked->flows;
}
