/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Clears the counters, and the times of last use, of what an apply makes new, and the flows of what it takes away.
 */
#include "recount.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "flow_table.h"

static bool is_held(const json_t *before, json_int_t number)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)before, name, value)
		if (json_integer_value(value) == number)
			return true;
	return false;
}

/*
 * A number that a new name got starts counting at zero. held: the numbers that another name has until
 * the turn, which can only be cleared after it; or those that nobody has, which are cleared before.
 */
static void clear_new_counters(int fd, bool percpu, const json_t *before, json_t *now, bool held)
{
	const char *name;
	json_t *number;

	json_object_foreach(now, name, number)
		if (!json_object_get(before, name) &&
		    is_held(before, json_integer_value(number)) == held)
			sync_zero_counts(fd, percpu, (uint32_t)json_integer_value(number));
}

/* The config of this id that a pool, by name, has. */
static const struct config_cid *cid_of_pool(const struct config *config, uint32_t id,
					    const char *name)
{
	for (uint32_t i = 0; config && i < config->n_cids; i++) {
		const struct config_cid *cid = &config->cids[i];

		for (uint32_t pool = 0; cid->id == id && pool < config->n_pools; pool++)
			if ((cid->pool == CONFIG_NO_POOL || cid->pool == pool) &&
			    !strcmp(config->pools[pool].name, name))
				return cid;
	}
	return NULL;
}

/*
 * When this config was last used in any pool. A pool that is renamed is a new one to us, and its
 * connections go on.
 */
static uint64_t last_seen(const struct map_set *set, const struct config *running,
			  const json_t *numbers, const struct config_cid *cid)
{
	uint64_t last = 0, seen;

	for (uint32_t i = 0; running && i < running->n_cids; i++) {
		if (running->cids[i].id != cid->id || running->cids[i].pool != cid->pool ||
		    cid->pool != CONFIG_NO_POOL || !config_same_meaning(&running->cids[i], cid))
			continue;
		for (uint32_t pool = 0; pool < running->n_pools; pool++) {
			uint32_t index =
				LB_CID_INDEX(plan_pool_number(running, numbers, pool), cid->id);

			if (!bpf_map_lookup_elem(set->cid_seen, &index, &seen) && seen > last)
				last = seen;
		}
	}
	return last;
}

/* A config that is new in a pool, or means something else now, counts from zero. */
static void clear_new_cids(const struct map_set *set, const struct config *running,
			   const json_t *numbers, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->config->n_cids; i++) {
		const struct config_cid *cid = &plan->config->cids[i], *old;
		uint64_t last = set->cid_seen < 0 ? 0 : last_seen(set, running, numbers, cid);

		for (uint32_t pool = 0; pool < plan->config->n_pools; pool++) {
			uint32_t index = LB_CID_INDEX(plan->pool_number[pool], cid->id);

			if (cid->pool != CONFIG_NO_POOL && cid->pool != pool)
				continue;
			old = cid_of_pool(running, cid->id, plan->config->pools[pool].name);
			if (old && config_same_meaning(old, cid))
				continue;
			sync_zero_counts(set->cid_stats, set->percpu, index);
			if (set->cid_seen >= 0)
				bpf_map_update_elem(set->cid_seen, &index, &last, BPF_ANY);
		}
	}
}

static void clear_counters(const struct map_set *set, const json_t *before, json_t *now, bool held)
{
	clear_new_counters(set->server_stats, set->percpu, json_object_get(before, "servers"),
			   json_object_get(now, "servers"), held);
	clear_new_counters(set->vip_stats, set->percpu, json_object_get(before, "vips"),
			   json_object_get(now, "vips"), held);
}

/* Flows of servers that have left, whose numbers may be others' by now. */
static void forget_flows(const struct map_set *set, const json_t *before, json_t *now)
{
	bool *gone = calloc(set->sizes.servers, sizeof(*gone)), any = false;
	const char *name;
	json_t *number;

	json_object_foreach((json_t *)before, name, number) {
		json_int_t old = json_integer_value(number);

		if (!gone || old <= 0 || old >= set->sizes.servers ||
		    json_equal(number, json_object_get(now, name)))
			continue;
		gone[old] = any = true;
	}
	if (any)
		flow_table_forget_servers(set, gone);
	free(gone);
}

void recount_before(const struct map_set *set, const json_t *before, json_t *now)
{
	clear_counters(set, before, now, false);
}

void recount_after(const struct map_set *set, const struct config *running, const json_t *before,
		   const struct plan *plan, json_t *now)
{
	clear_counters(set, before, now, true);
	forget_flows(set, json_object_get(before, "servers"), json_object_get(now, "servers"));
	clear_new_cids(set, running, before, plan);
}
