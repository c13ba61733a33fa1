/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Holds a new configuration against the times at which the running one's CID configs were last used
 * (draft-ietf-quic-load-balancers section 3.1: an id is not reused while connections have its CIDs).
 */
#include "rotation.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "plan.h"

static void add_pool(const struct map_set *set, uint32_t index, const struct lb_count *counts,
		     uint64_t *last, struct rotation_use *use)
{
	uint64_t seen = 0;

	use->count.packets += counts[index].packets;
	use->count.octets += counts[index].octets;
	if (set->cid_seen >= 0 && !bpf_map_lookup_elem(set->cid_seen, &index, &seen) &&
	    seen > *last)
		*last = seen;
}

int rotation_use(const struct map_set *set, const struct config *config,
		 const struct plan_numbers *numbers, const struct config_cid *cid, bool kept,
		 struct rotation_use *use)
{
	uint32_t n = LB_CID_INDEX(set->sizes.pools + 1, 0);
	struct lb_count *counts = calloc(n, sizeof(*counts));
	uint64_t last = 0, now;
	int err = counts ? sync_counts(set->cid_stats, set->percpu, n, counts) : -ENOMEM;

	memset(use, 0, sizeof(*use));
	for (uint32_t pool = 0; !err && pool < config->n_pools; pool++) {
		uint32_t number = plan_pool_number(config, numbers, pool);

		if (number && number <= set->sizes.pools &&
		    (cid->pool == CONFIG_NO_POOL || cid->pool == pool))
			add_pool(set, LB_CID_INDEX(number, cid->id), counts, &last, use);
	}
	free(counts);
	use->unknown = !err && set->cid_seen < 0 && !kept && use->count.packets;
	if (err || !last)
		return err;
	err = clock_jiffies(&now);
	use->seen = true;
	use->quiet = clock_seconds(last, now);
	return err;
}

static const char *pool_name(const struct config *config, const struct config_cid *cid)
{
	return cid->pool == CONFIG_NO_POOL ? "" : config->pools[cid->pool].name;
}

/* Still there as it was, for whom it was. */
static bool is_kept(const struct config *running, const struct config_cid *cid,
		    const struct config *after)
{
	for (uint32_t i = 0; i < after->n_cids; i++) {
		const struct config_cid *other = &after->cids[i];

		if (other->id == cid->id && config_same_meaning(cid, other) &&
		    (other->pool == CONFIG_NO_POOL ||
		     !strcmp(pool_name(running, cid), pool_name(after, other))))
			return true;
	}
	return false;
}

/* 0, or -EBUSY with the reason: it routed a packet too short a time ago. */
static int check_quiet(const struct map_set *set, const struct config *config,
		       const struct plan_numbers *numbers, const struct config_cid *cid,
		       uint32_t min_quiet, bool kept, struct reason *reason)
{
	const char *pool = pool_name(config, cid);
	struct rotation_use use;
	int err = rotation_use(set, config, numbers, cid, kept, &use);

	if (err)
		return reason_set(reason, REASON_UNKNOWN, "rotation", -err,
				  "when CID config %u was used", cid->id);
	if (use.unknown && min_quiet) {
		reason_set(
			reason, REASON_CONFIG_IN_USE, "rotation", 0,
			"cid_configs id %u%s%s: the card routed %llu packets by it, and nobody kept "
			"when: loader run does, from when it starts",
			cid->id, pool[0] ? " of pool " : "", pool,
			(unsigned long long)use.count.packets);
		return -EBUSY;
	}
	if (!use.seen || use.quiet >= min_quiet)
		return 0;
	reason_set(reason, REASON_CONFIG_IN_USE, "rotation", 0,
		   "cid_configs id %u%s%s: routed a packet %.0f s ago, rotation.min_quiet is %u s",
		   cid->id, pool[0] ? " of pool " : "", pool, use.quiet, min_quiet);
	return -EBUSY;
}

static bool has_id(const struct config *config, uint32_t id)
{
	for (uint32_t i = 0; i < config->n_cids; i++)
		if (config->cids[i].id == id)
			return true;
	return false;
}

bool rotation_is_due(const struct config *running, const struct config *after)
{
	for (uint32_t i = 0; running && i < running->n_cids; i++)
		if (!is_kept(running, &running->cids[i], after))
			return true;
	for (uint32_t i = 0; running && i < after->n_cids; i++)
		if (!has_id(running, after->cids[i].id))
			return true;
	return false;
}

int rotation_check(const struct map_set *set, const struct config *running,
		   const struct plan_numbers *numbers, const struct config *after, bool kept,
		   struct reason *reason)
{
	int err = 0;

	for (uint32_t i = 0; running && i < running->n_cids && !err; i++)
		if (!is_kept(running, &running->cids[i], after))
			err = check_quiet(set, running, numbers, &running->cids[i],
					  after->min_quiet, kept, reason);
	/* An id that was dropped by force still has connections, whatever it is to mean now. */
	for (uint32_t i = 0; running && i < after->n_cids && !err; i++)
		if (!has_id(running, after->cids[i].id))
			err = check_quiet(set, after, numbers, &after->cids[i], after->min_quiet,
					  kept, reason);
	return err;
}
