/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Clears the counters, and the times of last use, of what an apply makes new, and the flows of what it takes away.
 */
#include "recount.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "config_match.h"
#include "flow_table.h"

/* Things of one kind: the numbers they had, those they get, and where each was before. */
struct kind {
	uint32_t n_before, n_now;
	const uint32_t *before, *now, *found;
};

static struct kind servers_of(const struct plan_numbers *before, const struct plan *plan,
			      const struct config_match *match)
{
	struct kind kind = { 0, plan->n_servers, NULL, plan->server_number, match->servers };

	if (before) {
		kind.n_before = plan_count_servers(before->config);
		kind.before = before->servers;
	}
	return kind;
}

static struct kind vips_of(const struct plan_numbers *before, const struct plan *plan,
			   const struct config_match *match)
{
	struct kind kind = { 0, plan->config->n_vips, NULL, plan->vip_number, match->vips };

	if (before) {
		kind.n_before = before->config->n_vips;
		kind.before = before->vips;
	}
	return kind;
}

/*
 * A number that a new name got starts counting at zero. held: the numbers that another name has until
 * the turn, which can only be cleared after it; or those that nobody has, which are cleared before.
 */
static void clear_new_counters(int fd, bool percpu, const struct kind *kind, uint32_t highest,
			       bool held)
{
	bool *is_held = calloc(highest + 1, sizeof(*is_held));

	for (uint32_t i = 0; is_held && i < kind->n_before; i++)
		is_held[kind->before[i]] = true;
	for (uint32_t i = 0; is_held && i < kind->n_now; i++)
		if (kind->found[i] == CONFIG_NOWHERE && is_held[kind->now[i]] == held)
			sync_zero_counts(fd, percpu, kind->now[i]);
	free(is_held);
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
static uint64_t last_seen(const struct map_set *set, const struct plan_numbers *before,
			  const struct config_cid *cid)
{
	const struct config *running = before ? before->config : NULL;
	uint64_t last = 0, seen;

	for (uint32_t i = 0; running && i < running->n_cids; i++) {
		if (running->cids[i].id != cid->id || running->cids[i].pool != cid->pool ||
		    cid->pool != CONFIG_NO_POOL || !config_same_meaning(&running->cids[i], cid))
			continue;
		for (uint32_t pool = 0; pool < running->n_pools; pool++) {
			uint32_t index = LB_CID_INDEX(before->pools[pool], cid->id);

			if (!bpf_map_lookup_elem(set->cid_seen, &index, &seen) && seen > last)
				last = seen;
		}
	}
	return last;
}

/* A config that is new in a pool, or means something else now, counts from zero. */
static void clear_new_cids(const struct map_set *set, const struct plan_numbers *before,
			   const struct plan *plan)
{
	const struct config *running = before ? before->config : NULL;

	for (uint32_t i = 0; i < plan->config->n_cids; i++) {
		const struct config_cid *cid = &plan->config->cids[i], *old;
		uint64_t last = set->cid_seen < 0 ? 0 : last_seen(set, before, cid);

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

static void clear_counters(const struct map_set *set, const struct plan_numbers *before,
			   const struct plan *plan, const struct config_match *match, bool held)
{
	const struct kind servers = servers_of(before, plan, match);
	const struct kind vips = vips_of(before, plan, match);

	clear_new_counters(set->server_stats, set->percpu, &servers, set->sizes.servers, held);
	clear_new_counters(set->vip_stats, set->percpu, &vips, set->sizes.vips, held);
}

/* Flows of servers that have left, whose numbers may be others' by now. */
static void forget_flows(const struct map_set *set, const struct kind *servers)
{
	bool *gone = calloc(set->sizes.servers + 1, sizeof(*gone)), any = false;

	for (uint32_t i = 0; gone && i < servers->n_before; i++)
		gone[servers->before[i]] = true;
	for (uint32_t i = 0; gone && servers->before && i < servers->n_now; i++)
		if (servers->found[i] != CONFIG_NOWHERE &&
		    servers->before[servers->found[i]] == servers->now[i])
			gone[servers->now[i]] = false;
	for (uint32_t i = 0; gone && i < servers->n_before; i++)
		any |= gone[servers->before[i]];
	if (any)
		flow_table_forget_servers(set, gone);
	free(gone);
}

static int match_before(const struct plan_numbers *before, const struct plan *plan,
			struct config_match *match)
{
	return config_match(plan->config, before ? before->config : NULL, match);
}

void recount_before(const struct map_set *set, const struct plan_numbers *before,
		    const struct plan *plan)
{
	struct config_match match;

	if (!match_before(before, plan, &match))
		clear_counters(set, before, plan, &match, false);
	config_match_free(&match);
}

void recount_after(const struct map_set *set, const struct plan_numbers *before,
		   const struct plan *plan)
{
	struct config_match match;

	if (!match_before(before, plan, &match)) {
		const struct kind servers = servers_of(before, plan, &match);

		clear_counters(set, before, plan, &match, true);
		forget_flows(set, &servers);
	}
	config_match_free(&match);
	clear_new_cids(set, before, plan);
}
