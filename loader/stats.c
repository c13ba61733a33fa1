/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads the counters of the attached tiers and puts the applied file's names to them.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conns.h"
#include "names.h"
#include "pins.h"
#include "stats.h"

static void add(struct lb_count *sum, const struct lb_count *count)
{
	sum->packets += count->packets;
	sum->octets += count->octets;
}

static int read_counts(int fd, bool percpu, uint32_t n, struct lb_count **counts)
{
	*counts = calloc(n + 1, sizeof(**counts));
	return *counts ? sync_counts(fd, percpu, n, *counts) : -ENOMEM;
}

static int read_reasons(const struct map_set *maps, struct stats_tier *tier)
{
	struct lb_count counts[LB_REASON_COUNT];
	int err = sync_counts(maps->reason_stats, maps->percpu, LB_REASON_COUNT, counts);

	for (int i = 0; !err && i < LB_REASON_COUNT; i++) {
		snprintf(tier->reasons[i].name, sizeof(tier->reasons[i].name), "%s",
			 names_reason(i));
		tier->reasons[i].count = counts[i];
		add(&tier->total, &counts[i]);
		if (!strcmp(names_reason_verdict(i), "forward"))
			tier->forwarded += counts[i].packets;
	}
	return err;
}

static int read_flows(const struct map_set *maps, struct stats_tier *tier)
{
	struct lb_count counts[LB_FLOW_COUNT_COUNT];
	int err;

	if (maps->flow_stats < 0)
		return 0;
	/* One a CPU in every set: the tier userspace has that of the tier that it is below. */
	err = sync_counts(maps->flow_stats, true, LB_FLOW_COUNT_COUNT, counts);
	tier->n_flows = err ? 0 : LB_FLOW_COUNT_COUNT;
	for (uint32_t i = 0; i < tier->n_flows; i++) {
		snprintf(tier->flows[i].name, sizeof(tier->flows[i].name), "%s", names_flow(i));
		tier->flows[i].count = counts[i];
	}
	return err;
}

static int read_servers(const struct map_set *maps, const struct config *config,
			const struct plan_numbers *numbers, struct stats_tier *tier)
{
	struct lb_count *counts = NULL;
	int err = read_counts(maps->server_stats, maps->percpu, maps->sizes.servers, &counts);
	uint32_t pool = 0;

	while (plan_server(config, tier->n_servers, NULL))
		tier->n_servers++;
	tier->servers = calloc(tier->n_servers + 1, sizeof(*tier->servers));
	if (!err && !tier->servers)
		err = -ENOMEM;
	for (uint32_t i = 0; !err && i < tier->n_servers; i++) {
		const struct config_server *server = plan_server(config, i, &pool);
		struct stats_item *item = &tier->servers[i];

		snprintf(item->name, sizeof(item->name), "%s/%s", config->pools[pool].name,
			 server->name);
		item->count = counts[numbers->servers[i]];
	}
	free(counts);
	return err;
}

static int read_vips(const struct map_set *maps, const struct config *config,
		     const struct plan_numbers *numbers, struct stats_tier *tier)
{
	struct lb_count *counts = NULL;
	uint32_t n = maps->sizes.vips + 1;
	int err = read_counts(maps->vip_stats, maps->percpu, n, &counts);

	tier->n_vips = config->n_vips;
	tier->vips = calloc(tier->n_vips + 1, sizeof(*tier->vips));
	if (!err && !tier->vips)
		err = -ENOMEM;
	for (uint32_t i = 0; !err && i < tier->n_vips; i++) {
		struct stats_item *item = &tier->vips[i];

		snprintf(item->name, sizeof(item->name), "%s", config->vips[i].name);
		item->count = counts[numbers->vips[i]];
	}
	free(counts);
	return err;
}

/* A config that is for all pools counts in each of them. */
static struct lb_count config_count(const struct config *config, const struct plan_numbers *numbers,
				    const struct config_cid *cid, const struct lb_count *counts)
{
	struct lb_count sum = {};

	for (uint32_t pool = 0; pool < config->n_pools; pool++)
		if (cid->pool == CONFIG_NO_POOL || cid->pool == pool)
			add(&sum,
			    &counts[LB_CID_INDEX(plan_pool_number(config, numbers, pool), cid->id)]);
	return sum;
}

static void name_config(const struct config *config, const struct config_cid *cid,
			struct stats_item *item)
{
	if (cid->pool == CONFIG_NO_POOL)
		snprintf(item->name, sizeof(item->name), "%u", cid->id);
	else
		snprintf(item->name, sizeof(item->name), "%s/%u", config->pools[cid->pool].name,
			 cid->id);
}

static int read_configs(const struct map_set *maps, const struct config *config,
			const struct plan_numbers *numbers, struct stats_tier *tier)
{
	struct lb_count *counts = NULL;
	int err = read_counts(maps->cid_stats, maps->percpu, LB_CID_INDEX(maps->sizes.pools + 1, 0),
			      &counts);

	tier->n_configs = config->n_cids;
	tier->configs = calloc(tier->n_configs + 1, sizeof(*tier->configs));
	if (!err && !tier->configs)
		err = -ENOMEM;
	for (uint32_t i = 0; !err && i < tier->n_configs; i++) {
		name_config(config, &config->cids[i], &tier->configs[i]);
		tier->configs[i].count = config_count(config, numbers, &config->cids[i], counts);
		if (config->cids[i].keyed)
			tier->encrypted += tier->configs[i].count.packets;
	}
	free(counts);
	return err;
}

static int read_tier(const struct attachment *attachment, struct stats_tier *tier,
		     struct reason *reason)
{
	const struct map_set *maps = &attachment->maps;
	struct config *config = NULL;
	struct plan_numbers *numbers = NULL;
	int err;

	memcpy(tier->interface, attachment->interface, sizeof(tier->interface));
	tier->tier = attachment->tier;
	err = sync_read(maps, &config, &numbers, &tier->generation, reason);
	if (err)
		return err;
	err = read_reasons(maps, tier) ?: read_flows(maps, tier);
	if (!err && config)
		err = read_vips(maps, config, numbers, tier);
	if (!err && config)
		err = read_servers(maps, config, numbers, tier);
	if (!err && config)
		err = read_configs(maps, config, numbers, tier);
	/* A card's tier has no stack below it but the host tier's, which tells of it. */
	if (!err && config && tier->tier != TIER_OFFLOAD)
		err = stats_read_stack(maps, config, numbers, tier);
	if (!err && config)
		err = stats_read_conn_track(maps, tier) ?: stats_read_cache(maps, config, tier);
	tier->known = conns_count(maps);
	tier->known_room = maps->sizes.known_cids;
	plan_numbers_free(numbers);
	config_free(config);
	return err ? reason_set(reason, REASON_UNKNOWN, "map-read", -err, "%s", tier->interface) :
		     0;
}

int stats_read(const char *interface, struct stats **result, struct reason *reason)
{
	struct stats *stats = calloc(1, sizeof(*stats));
	struct attachment *list = NULL;
	struct timespec now;
	size_t n = 0;
	int err;

	if (!stats)
		return reason_set(reason, REASON_UNKNOWN, "stats", ENOMEM, NULL);
	err = attach_list(interface, &list, &n, reason);
	if (!err && !n)
		err = reason_set(reason, REASON_NOT_ATTACHED, "stats", ENOENT, "%s",
				 interface ? interface : "");
	if (!err) {
		stats->tiers = calloc(n, sizeof(*stats->tiers));
		stats->n = stats->tiers ? n : 0;
	}
	for (size_t i = 0; !err && i < stats->n; i++)
		err = read_tier(&list[i], &stats->tiers[i], reason);
	attach_list_free(list, n);
	clock_gettime(CLOCK_MONOTONIC, &now);
	stats->time = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	if (err) {
		stats_free(stats);
		return err;
	}
	*result = stats;
	return 0;
}

void stats_free(struct stats *stats)
{
	if (!stats)
		return;
	for (size_t i = 0; i < stats->n; i++) {
		free(stats->tiers[i].vips);
		free(stats->tiers[i].servers);
		free(stats->tiers[i].configs);
		free(stats->tiers[i].stack[LB_INGRESS]);
		free(stats->tiers[i].stack[LB_EGRESS]);
	}
	free(stats->tiers);
	free(stats);
}

const struct stats_item *stats_items(const struct stats_tier *tier, enum stats_kind kind,
				     uint32_t *n)
{
	switch (kind) {
	case STATS_VIPS:
		*n = tier->n_vips;
		return tier->vips;
	case STATS_SERVERS:
		*n = tier->n_servers;
		return tier->servers;
	case STATS_CONFIGS:
		*n = tier->n_configs;
		return tier->configs;
	case STATS_FLOWS:
		*n = tier->n_flows;
		return tier->flows;
	case STATS_STACK_IN:
		*n = tier->n_stack[LB_INGRESS];
		return tier->stack[LB_INGRESS];
	case STATS_STACK_OUT:
		*n = tier->n_stack[LB_EGRESS];
		return tier->stack[LB_EGRESS];
	default:
		*n = LB_REASON_COUNT;
		return tier->reasons;
	}
}

/* As long as nothing is applied in between, every item is where it was. */
static const struct stats_item *find(const struct stats_tier *tier, enum stats_kind kind,
				     const char *name, uint32_t index)
{
	uint32_t n;
	const struct stats_item *items = stats_items(tier, kind, &n);

	if (index < n && !strcmp(items[index].name, name))
		return &items[index];
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(items[i].name, name))
			return &items[i];
	return NULL;
}

const struct stats_tier *stats_same_tier(const struct stats *stats, const struct stats_tier *tier)
{
	for (size_t i = 0; i < stats->n; i++)
		if (stats->tiers[i].tier == tier->tier &&
		    !strcmp(stats->tiers[i].interface, tier->interface))
			return &stats->tiers[i];
	return NULL;
}

double stats_rate(const struct stats *before, const struct stats *now,
		  const struct stats_tier *tier, enum stats_kind kind, uint32_t index)
{
	uint32_t n;
	const struct stats_item *item = &stats_items(tier, kind, &n)[index], *old = NULL;
	const struct stats_tier *from = before ? stats_same_tier(before, tier) : NULL;

	if (from)
		old = find(from, kind, item->name, index);
	if (!old || now->time <= before->time || item->count.packets < old->count.packets)
		return 0;
	return (double)(item->count.packets - old->count.packets) / (now->time - before->time);
}

static json_t *count_json(const struct lb_count *count)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)count->packets, "octets",
			 (json_int_t)count->octets);
}

static json_t *items_json(const struct stats_item *items, uint32_t n)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < n; i++)
		json_object_set_new(object, items[i].name, count_json(&items[i].count));
	return object;
}

static json_t *reasons_json(const struct stats_tier *tier)
{
	json_t *object = json_object();

	for (int i = 0; i < LB_REASON_COUNT; i++) {
		json_t *item = count_json(&tier->reasons[i].count);

		json_object_set_new(item, "verdict", json_string(names_reason_verdict(i)));
		json_object_set_new(object, tier->reasons[i].name, item);
	}
	return object;
}

static json_t *flows_json(const struct stats_tier *tier)
{
	json_t *object = tier->n_flows ? json_object() : json_null();

	for (uint32_t i = 0; i < tier->n_flows; i++)
		json_object_set_new(object, tier->flows[i].name,
				    json_integer((json_int_t)tier->flows[i].count.packets));
	return object;
}

double stats_part(uint64_t above, uint64_t below)
{
	return above + below ? (double)above / (double)(above + below) : -1;
}

struct lb_count stats_share_server(const struct stats_share *share, uint32_t index)
{
	struct lb_count sum = share->card->servers[index].count;

	for (uint32_t i = 0; i < share->host->n_servers; i++) {
		const struct stats_item *below = &share->host->servers[i];

		if (strcmp(below->name, share->card->servers[index].name))
			continue;
		sum.packets += below->count.packets;
		sum.octets += below->count.octets;
	}
	return sum;
}

bool stats_share(const struct stats *stats, size_t tier, struct stats_share *share)
{
	const struct stats_tier *card = &stats->tiers[tier];

	for (size_t i = 0; card->tier == TIER_OFFLOAD && i < stats->n; i++) {
		const struct stats_tier *host = &stats->tiers[i];

		if (i == tier || host->tier == TIER_USERSPACE ||
		    strcmp(host->interface, card->interface))
			continue;
		*share = (struct stats_share){
			.interface = card->interface,
			.all = stats_part(card->forwarded, host->forwarded),
			.encrypted = stats_part(card->encrypted, host->encrypted),
			.known = card->known,
			.known_room = card->known_room,
			.card = card,
			.host = host,
		};
		return true;
	}
	return false;
}

static json_t *share_json(double share)
{
	return share < 0 ? json_null() : json_real(share);
}

static json_t *sums_json(const struct stats_share *share)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < share->card->n_servers; i++) {
		struct lb_count sum = stats_share_server(share, i);

		json_object_set_new(object, share->card->servers[i].name, count_json(&sum));
	}
	return object;
}

static json_t *shares_json(const struct stats *stats)
{
	json_t *list = json_array();
	struct stats_share share;

	for (size_t i = 0; i < stats->n; i++) {
		if (!stats_share(stats, i, &share))
			continue;
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:o, s:{s:I, s:I}, s:o}", "interface",
						share.interface, "share", share_json(share.all),
						"encrypted_share", share_json(share.encrypted),
						"known_cids", "used", (json_int_t)share.known,
						"room", (json_int_t)share.known_room, "servers",
						sums_json(&share)));
	}
	return list;
}

json_t *stats_json(const struct stats *stats)
{
	json_t *list = json_array();

	for (size_t i = 0; i < stats->n; i++) {
		const struct stats_tier *tier = &stats->tiers[i];

		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
				  "interface", tier->interface, "tier", tiers[tier->tier].name,
				  "generation", (json_int_t)tier->generation, "total",
				  count_json(&tier->total), "reasons", reasons_json(tier), "vips",
				  items_json(tier->vips, tier->n_vips), "servers",
				  items_json(tier->servers, tier->n_servers), "configs",
				  items_json(tier->configs, tier->n_configs), "flows",
				  flows_json(tier), "conn_track", stats_conn_track_json(tier),
				  "cid_cache", stats_cache_json(tier), "stack",
				  stats_stack_json(tier)));
	}
	return json_pack("{s:s, s:f, s:o, s:o}", "schema", "shunt/stats/1", "time", stats->time,
			 "tiers", list, "offloaded", shares_json(stats));
}
