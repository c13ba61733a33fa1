/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the caches of decoded connection IDs have brought. See stats.h.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "stats.h"

static bool is_asked(const struct config *config)
{
	for (uint32_t i = 0; config->limits.cached_cids && i < config->n_cids; i++)
		if (config->cids[i].keyed)
			return true;
	return false;
}

/* The tier userspace has the maps of the tier that it is below, and decodes all that it gets. */
static bool has_cache(const struct map_set *maps, const struct config *config, enum tier tier)
{
	return maps->cache_state >= 0 && tier != TIER_USERSPACE && is_asked(config);
}

int stats_read_cache(const struct map_set *maps, const struct config *config,
		     struct stats_tier *tier)
{
	int n = libbpf_num_possible_cpus(), err = 0;
	struct lb_cid_cache_state *states;
	uint32_t zero = 0;

	if (!has_cache(maps, config, tier->tier))
		return 0;
	states = n > 0 ? calloc((size_t)n, sizeof(*states)) : NULL;
	if (!states)
		return n < 0 ? n : -ENOMEM;
	if (bpf_map_lookup_elem(maps->cache_state, &zero, states))
		err = -errno;
	for (int i = 0; !err && i < n; i++) {
		tier->cache.found += states[i].all_found + states[i].found;
		tier->cache.missed += states[i].all_missed + states[i].missed;
		tier->cache.resting += states[i].rests;
	}
	tier->cache.asked = !err;
	free(states);
	return err;
}

double stats_cache_share(const struct stats *before, const struct stats_tier *tier)
{
	const struct stats_tier *old = before ? stats_same_tier(before, tier) : NULL;
	uint64_t found = tier->cache.found, missed = tier->cache.missed;

	if (old) {
		/* Less than before is of maps that are new. */
		if (found < old->cache.found || missed < old->cache.missed)
			return -1;
		found -= old->cache.found;
		missed -= old->cache.missed;
	}
	return stats_part(found, missed);
}

json_t *stats_cache_json(const struct stats_tier *tier)
{
	if (!tier->cache.asked)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "found", (json_int_t)tier->cache.found, "missed",
			 (json_int_t)tier->cache.missed, "resting_cpus",
			 (json_int_t)tier->cache.resting);
}
