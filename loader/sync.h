/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Brings a plan into a set of maps: writes the generation that no packet reads, then turns the word.
 * Touches map contents only, never a NIC.
 */
#ifndef SHUNT_SYNC_H
#define SHUNT_SYNC_H

#include <bpf/libbpf.h>

#include "lb/counters.h"
#include "plan.h"
#include "reason.h"

/* The maps of one tier on one interface, or a private set. -1: the set has no such map. */
struct map_set {
	int meta, generation, vip, cid_config, sid, row, server;
	int reason_stats, vip_stats, server_stats, cid_stats;
	int conn, egress, cid_key, cid_seen, cid_sample, cid_cache, cache_state, text;
	int setting, address, vip_address;
	int conn_track, flow_recent, flow_budget, flow_stats;
	bool percpu; /* counters are one a CPU; flow_stats always is */
	struct plan_sizes sizes;
};

/* Entries of a map for these sizes; 0: it has a size of its own. */
uint32_t map_set_entries(const char *map, const struct plan_sizes *sizes);
/* max_entries of every map of an open, not yet loaded object. 0 or -errno. */
int map_set_size_object(struct bpf_object *object, const struct plan_sizes *sizes);
/* So that an apply need not copy the large ones to compare them. Not for a card, whose maps have no flags. */
int map_set_make_mappable(struct bpf_object *object);
/* The maps of a loaded object (duplicated fds). */
int map_set_from_object(struct map_set *set, const struct bpf_object *object,
			struct reason *reason);
/* The maps pinned in a directory. -ENOENT: nothing there. Wrong layout: REASON_ABI, which says what. */
int map_set_from_pins(struct map_set *set, const char *directory, struct reason *reason);
/* New counters instead of those the set has, not one a CPU: for who counts in user space. */
int map_set_own_counters(struct map_set *set, struct reason *reason);
int map_set_pin(const struct map_set *set, const char *directory, struct reason *reason);
void map_set_close(struct map_set *set);

/* Where the tables that packets use begin; number 0: nothing was applied. 0 or -errno. */
int sync_tables(const struct map_set *set, struct lb_generation *tables);
/*
 * What runs: the applied configuration, NULL if none was. numbers: its names' (plan_numbers_free(), and the
 * config after them); may be NULL.
 */
int sync_read(const struct map_set *set, struct config **config, struct plan_numbers **numbers,
	      uint32_t *generation, struct reason *reason);
/*
 * Applies. before: as sync_read() gave it of this set, NULL if nothing runs there. On failure the packets
 * still see what they saw before. *generation: the number packets
 * use now; *changed: whether it is a new one (nothing is written when the active half already holds
 * the plan). Writes only entries that differ from what the inactive half holds. dry_run: only
 * finds out whether anything would change.
 */
int sync_apply(const struct map_set *set, const struct plan *plan,
	       const struct plan_numbers *before, bool dry_run, uint32_t *generation, bool *changed,
	       struct reason *reason);

/* Counters and times of maps whose place others take; the numbers must be the same in both. */
void sync_carry(const struct map_set *from, const struct map_set *to);

/* Counters, summed over CPUs; counts has room for n entries from index 0. What the map lacks is 0. */
int sync_counts(int fd, bool percpu, uint32_t n, struct lb_count *counts);
/* The same for values of so many 64-bit words, which all are counters. */
int sync_words(int fd, bool percpu, uint32_t n, size_t words, uint64_t *sums);
int sync_zero_counts(int fd, bool percpu, uint32_t index);

#endif
