/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters of everything attached, with names: one snapshot, or the difference of two. Reads maps;
 * prints nothing.
 */
#ifndef SHUNT_STATS_H
#define SHUNT_STATS_H

#include "attach.h"

struct stats_item {
	char name[2 * CONFIG_NAME_MAX + 2];
	struct lb_count count; /* packets and octets that the XDP tier forwarded or passed */
	uint64_t drops, redirects; /* of the stack's items */
};

/* What the caches of decoded connection IDs have brought, all CPUs together. */
struct stats_cache {
	bool asked; /* false: nobody asks here, and the others are 0 */
	uint64_t found, missed; /* packets */
	uint32_t resting; /* CPUs that do not ask now, for it does not pay */
};

/* One tier on one interface. */
struct stats_tier {
	char interface[16];
	enum tier tier;
	uint32_t generation;
	struct lb_count total; /* everything the tier saw: the sum of reasons */
	uint64_t forwarded; /* packets, by whatever reason */
	uint64_t encrypted; /* those of them by encrypted CIDs */
	uint32_t known, known_room; /* a card's: CIDs that it was told of */
	struct stats_item reasons[LB_REASON_COUNT];
	struct stats_item flows[LB_FLOW_COUNT_COUNT]; /* packets alone */
	uint32_t n_flows; /* 0: a card's, which remembers none */
	uint64_t conn_track_used,
		conn_track_room; /* flows that are not over, and how many there may be */
	struct stats_cache cache;
	uint32_t n_vips, n_servers, n_configs;
	struct stats_item *vips, *servers, *configs;
	/*
	 * What the TC programs saw, by enum lb_direction; NULL: they are not there. First what was for no
	 * VIP, then the VIPs; at egress also the nat servers.
	 */
	struct stats_item *stack[2];
	uint32_t n_stack[2];
};

struct stats {
	double time; /* CLOCK_MONOTONIC, seconds */
	size_t n;
	struct stats_tier *tiers;
};

/* interface NULL: all. 0 and *stats, or -errno with reason (-ENOENT: nothing attached). */
int stats_read(const char *interface, struct stats **stats, struct reason *reason);
void stats_free(struct stats *stats);
enum stats_kind {
	STATS_REASONS,
	STATS_VIPS,
	STATS_SERVERS,
	STATS_CONFIGS,
	STATS_FLOWS,
	STATS_STACK_IN,
	STATS_STACK_OUT
};
/* The items of one kind and how many they are. */
const struct stats_item *stats_items(const struct stats_tier *tier, enum stats_kind kind,
				     uint32_t *n);
/* The same tier on the same interface of another reading; NULL: it has none. */
const struct stats_tier *stats_same_tier(const struct stats *stats, const struct stats_tier *tier);
/* Of both the part above; below 0: there is none of either. */
double stats_part(uint64_t above, uint64_t below);
/*
 * Packets a second since `before` of the tier's item of that kind and index, matched by name; 0 if
 * it was not there.
 */
double stats_rate(const struct stats *before, const struct stats *now,
		  const struct stats_tier *tier, enum stats_kind kind, uint32_t index);
/* What a card took off the tier below it on the same interface, since each of them counts. */
struct stats_share {
	const char *interface;
	double all, encrypted; /* of what both forwarded; below 0: they forwarded none */
	uint32_t known, known_room;
	const struct stats_tier *card, *host;
};
/* What both tiers sent to the card's server of that index (by its name). */
struct lb_count stats_share_server(const struct stats_share *share, uint32_t index);
/* By a tier's index. False: it is no card's, or has no tier below it. */
bool stats_share(const struct stats *stats, size_t tier, struct stats_share *share);
json_t *stats_json(const struct stats *stats);

/* stats_flows.c: how full conn_track is, and as JSON, or null. */
int stats_read_conn_track(const struct map_set *maps, struct stats_tier *tier);
json_t *stats_conn_track_json(const struct stats_tier *tier);
/*
 * stats_cache.c: the caches of decoded connection IDs; which part of what they were asked for since `before`
 * (NULL: ever) they had, below 0: they were not asked; and as JSON, or null.
 */
int stats_read_cache(const struct map_set *maps, const struct config *config,
		     struct stats_tier *tier);
double stats_cache_share(const struct stats *before, const struct stats_tier *tier);
json_t *stats_cache_json(const struct stats_tier *tier);
/* stats_stack.c: the lists of the TC programs beside this tier, if they are there, and as JSON, or null. */
int stats_read_stack(const struct map_set *maps, const struct config *config,
		     const struct plan_numbers *numbers, struct stats_tier *tier);
json_t *stats_stack_json(const struct stats_tier *tier);

#endif
