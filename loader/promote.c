/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A table of met and of promoted CIDs with counts that fade. See promote.h.
 */
#include "promote.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lb/lookup3.h"

/* An entry is in one of so many places, of which the least telling is given up for another. */
#define WAYS 8
/* Room for those that are met, beside those that are promoted. */
#define SPARE	    4
#define MIN_ENTRIES 4096

enum state { FREE = 0, MET, PROMOTED, REVOKED /* promoted, and to be taken off */ };

struct entry {
	struct lb_conn_key key;
	uint32_t server;
	enum state state;
	float samples, heat; /* as of `at`; heat: packets */
	int64_t at;
	int64_t since, used; /* promoted: when, and when its counter was last seen to have moved */
	uint64_t packets; /* promoted: its counter then */
};

struct promote {
	uint32_t budget, n, seed;
	uint32_t mask; /* groups of WAYS entries - 1 */
	uint32_t cursor;
	int64_t compared; /* when it was last seen who is coldest */
	struct entry *entries;
	struct entry **order; /* scratch: room for each entry */
};

static uint32_t n_entries(const struct promote *promote)
{
	return (promote->mask + 1) * WAYS;
}

struct promote *promote_new(uint32_t budget, uint32_t seed)
{
	struct promote *promote = calloc(1, sizeof(*promote));
	uint32_t n = MIN_ENTRIES;

	if (!promote)
		return NULL;
	promote->budget = budget < PROMOTE_MAX ? budget : PROMOTE_MAX;
	promote->seed = seed;
	while (n < SPARE * promote->budget)
		n <<= 1;
	promote->mask = n / WAYS - 1;
	promote->entries = calloc(n, sizeof(*promote->entries));
	promote->order = calloc(n, sizeof(struct entry *));
	if (!promote->entries || !promote->order) {
		promote_free(promote);
		return NULL;
	}
	return promote;
}

void promote_free(struct promote *promote)
{
	if (!promote)
		return;
	free(promote->order);
	free(promote->entries);
	free(promote);
}

static void fade(struct entry *entry, int64_t now)
{
	float left;

	if (now <= entry->at)
		return;
	left = exp2f(-(float)(now - entry->at) / PROMOTE_HALF_LIFE_MS);
	entry->samples *= left;
	entry->heat *= left;
	entry->at = now;
}

static struct entry *group_of(const struct promote *promote, const struct lb_conn_key *key)
{
	uint32_t words[sizeof(*key) / sizeof(uint32_t)];

	memcpy(words, key, sizeof(words));
	return promote->entries +
	       (size_t)WAYS *
		       (lb_lookup3(words, sizeof(words) / sizeof(words[0]), promote->seed).first &
			promote->mask);
}

static struct entry *find(const struct promote *promote, const struct lb_conn_key *key)
{
	struct entry *group = group_of(promote, key);

	for (int i = 0; i < WAYS; i++)
		if (group[i].state != FREE && !memcmp(&group[i].key, key, sizeof(*key)))
			return &group[i];
	return NULL;
}

/* A place for a new one; NULL: all are promoted. */
static struct entry *make_place(const struct promote *promote, const struct lb_conn_key *key,
				int64_t now)
{
	struct entry *group = group_of(promote, key), *least = NULL;

	for (int i = 0; i < WAYS; i++) {
		if (group[i].state == FREE)
			return &group[i];
		if (group[i].state != MET)
			continue;
		fade(&group[i], now);
		if (!least || group[i].samples < least->samples)
			least = &group[i];
	}
	return least;
}

static struct entry *add(struct promote *promote, const struct lb_conn_key *key, uint32_t server,
			 int64_t now)
{
	struct entry *entry = find(promote, key);

	if (!entry)
		entry = make_place(promote, key, now);
	if (entry)
		*entry = (struct entry){ .key = *key, .server = server, .state = MET, .at = now };
	return entry;
}

void promote_sample(struct promote *promote, const struct lb_conn_key *key, uint32_t server,
		    double packets, int64_t now)
{
	struct entry *entry = find(promote, key);

	if (!entry)
		entry = add(promote, key, server, now);
	/* A promoted one is still met while its packets are on the way up. */
	if (!entry || entry->state != MET)
		return;
	fade(entry, now);
	entry->samples += 1;
	entry->heat += (float)packets;
}

static void become_promoted(struct promote *promote, struct entry *entry, uint64_t packets,
			    int64_t now)
{
	entry->state = PROMOTED;
	entry->packets = packets;
	entry->since = now;
	entry->used = now;
	promote->n++;
}

bool promote_adopt(struct promote *promote, const struct lb_conn_key *key, uint32_t server,
		   uint64_t packets, int64_t now)
{
	struct entry *entry = promote->n < promote->budget ? add(promote, key, server, now) : NULL;

	if (entry)
		become_promoted(promote, entry, packets, now);
	return entry;
}

const struct lb_conn_key *promote_next(struct promote *promote)
{
	for (uint32_t i = 0; promote->n && i < n_entries(promote); i++) {
		const struct entry *entry = &promote->entries[promote->cursor];

		promote->cursor = (promote->cursor + 1) & (n_entries(promote) - 1);
		if (entry->state == PROMOTED)
			return &entry->key;
	}
	return NULL;
}

void promote_counted(struct promote *promote, const struct lb_conn_key *key, uint64_t packets,
		     int64_t now)
{
	struct entry *entry = find(promote, key);

	if (!entry || entry->state != PROMOTED)
		return;
	fade(entry, now);
	if (packets == entry->packets) {
		if (now - entry->used >= PROMOTE_IDLE_MS)
			entry->state = REVOKED;
		return;
	}
	entry->heat += (float)(packets - entry->packets);
	entry->packets = packets;
	entry->used = now;
}

static void release(struct promote *promote, struct entry *entry)
{
	if (entry->state == PROMOTED || entry->state == REVOKED)
		promote->n--;
	*entry = (struct entry){};
}

void promote_forget(struct promote *promote, const struct lb_conn_key *key)
{
	struct entry *entry = find(promote, key);

	if (entry)
		release(promote, entry);
}

void promote_revise(struct promote *promote,
		    bool (*means)(const struct lb_conn_key *key, void *context), void *context)
{
	for (uint32_t i = 0; i < n_entries(promote); i++) {
		struct entry *entry = &promote->entries[i];

		if (entry->state == FREE || means(&entry->key, context))
			continue;
		if (entry->state == MET)
			release(promote, entry);
		else
			entry->state = REVOKED;
	}
}

void promote_full(struct promote *promote)
{
	promote->budget = promote->n;
}

static int by_heat(const void *a, const void *b)
{
	const struct entry *const *one = a, *const *other = b;

	return ((*one)->heat < (*other)->heat) - ((*one)->heat > (*other)->heat);
}

/* Entries for which `counts` is so, the hottest first. */
static uint32_t collect(struct promote *promote, bool (*counts)(const struct entry *), int64_t now,
			struct entry **order)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_entries(promote); i++) {
		struct entry *entry = &promote->entries[i];

		if (!counts(entry))
			continue;
		fade(entry, now);
		if (counts(entry))
			order[n++] = entry;
	}
	qsort(order, n, sizeof(struct entry *), by_heat);
	return n;
}

static bool is_ripe(const struct entry *entry)
{
	/* The first of the samples has faded a little when the last one comes. */
	return entry->state == MET && entry->samples > PROMOTE_SAMPLES - 0.5f;
}

static bool is_promoted(const struct entry *entry)
{
	return entry->state == PROMOTED;
}

/* How the changes of a turn are written down. */
struct list {
	struct promote_change *changes;
	size_t n, room;
};

static void note(struct list *list, const struct entry *entry, bool drop)
{
	list->changes[list->n++] = (struct promote_change){
		.key = entry->key,
		.server = entry->server,
		.drop = drop,
	};
}

static void drop(struct promote *promote, struct entry *entry, struct list *list)
{
	note(list, entry, true);
	release(promote, entry);
}

static void drop_revoked(struct promote *promote, struct list *list)
{
	for (uint32_t i = 0; i < n_entries(promote) && list->n < list->room; i++)
		if (promote->entries[i].state == REVOKED)
			drop(promote, &promote->entries[i], list);
}

static void put(struct promote *promote, struct entry *entry, int64_t now, struct list *list)
{
	note(list, entry, false);
	become_promoted(promote, entry, 0, now);
}

/* Whether a promoted one may go for this one. */
static bool gives_way(const struct entry *cold, const struct entry *hot, int64_t now)
{
	return now - cold->since >= PROMOTE_STAY_MS && hot->heat > PROMOTE_HOTTER * cold->heat;
}

/* The place of the coldest that may go for this one; *n: how many of the promoted are still to be asked. */
static bool displace(struct promote *promote, struct entry **promoted, uint32_t *n,
		     const struct entry *hot, int64_t now, struct list *list)
{
	while (*n) {
		struct entry *cold = promoted[--*n];

		if (gives_way(cold, hot, now)) {
			drop(promote, cold, list);
			return true;
		}
	}
	return false;
}

size_t promote_turn(struct promote *promote, int64_t now, struct promote_change *changes, size_t n)
{
	struct list list = { .changes = changes, .room = n };
	/* Each entry is in one state, so both fit the scratch. */
	struct entry **ripe = promote->order, **promoted;
	uint32_t n_ripe, n_promoted = 0;

	drop_revoked(promote, &list);
	n_ripe = collect(promote, is_ripe, now, ripe);
	promoted = ripe + n_ripe;
	if (promote->n + n_ripe > promote->budget &&
	    now - promote->compared >= PROMOTE_COMPARE_MS) {
		n_promoted = collect(promote, is_promoted, now, promoted);
		promote->compared = now;
	}
	for (uint32_t i = 0; i < n_ripe && list.n + 2 <= list.room; i++) {
		if (promote->n >= promote->budget &&
		    !displace(promote, promoted, &n_promoted, ripe[i], now, &list))
			break;
		put(promote, ripe[i], now, &list);
	}
	return list.n;
}

uint32_t promote_count(const struct promote *promote)
{
	return promote->n;
}

uint32_t promote_budget(const struct promote *promote)
{
	return promote->budget;
}
