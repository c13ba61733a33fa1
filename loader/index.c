/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Open addressing over a list of entries, at most half full. See index.h.
 */
#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64u

struct index_entry {
	const void *key;
	uint64_t number;
	uint32_t space, length;
};

/* With its hash, so a key that is new is told from all others without a look at them. */
struct index_slot {
	uint32_t hash;
	uint32_t position; /* in entries, from 1; 0: free */
};

/* A 64-bit mix of eight octets at a time: the files are the administrator's own, nobody attacks it. */
static uint32_t hash_of(uint32_t space, const void *key, size_t length)
{
	const uint64_t odd = 0x9e3779b97f4a7c15ull;
	uint64_t hash = (space + 1) * odd ^ length, word;
	const char *at = key;

	for (; length >= sizeof(word); length -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = (hash ^ word) * odd;
		hash ^= hash >> 32;
	}
	word = 0;
	memcpy(&word, at, length);
	hash = (hash ^ word) * odd;
	return (uint32_t)(hash >> 32);
}

/* The slot of the key, or the free one where it would go. */
static struct index_slot *find_slot(const struct index *index, uint32_t hash, uint32_t space,
				    const void *key, size_t length)
{
	uint32_t at = hash & index->mask;

	for (; index->slots[at].position; at = (at + 1) & index->mask) {
		const struct index_entry *entry;

		if (index->slots[at].hash != hash)
			continue;
		entry = &index->entries[index->slots[at].position - 1];
		if (entry->space == space && entry->length == length &&
		    !memcmp(entry->key, key, length))
			break;
	}
	return &index->slots[at];
}

static void move_slots(const struct index *index, struct index_slot *slots, uint32_t mask)
{
	for (uint32_t i = 0; index->slots && i <= index->mask; i++) {
		uint32_t at = index->slots[i].hash & mask;

		if (!index->slots[i].position)
			continue;
		while (slots[at].position)
			at = (at + 1) & mask;
		slots[at] = index->slots[i];
	}
}

static int resize(struct index *index, uint32_t n_slots)
{
	struct index_entry *entries =
		reallocarray(index->entries, n_slots / 2, sizeof(*index->entries));
	struct index_slot *slots = calloc(n_slots, sizeof(*slots));

	if (entries)
		index->entries = entries;
	if (!entries || !slots) {
		free(slots);
		return -ENOMEM;
	}
	move_slots(index, slots, n_slots - 1);
	free(index->slots);
	index->slots = slots;
	index->mask = n_slots - 1;
	return 0;
}

void index_make_room(struct index *index, uint32_t n)
{
	uint32_t n_slots = FIRST_SLOTS;

	while (n_slots / 2 < n)
		n_slots *= 2;
	if (!index->slots)
		resize(index, n_slots);
}

static int grow(struct index *index)
{
	return resize(index, index->slots ? 4 * (index->mask + 1) : FIRST_SLOTS);
}

int index_note(struct index *index, uint32_t space, const void *key, size_t length,
	       uint64_t *number)
{
	uint32_t hash = hash_of(space, key, length);
	struct index_slot *slot;

	if ((!index->slots || index->n == (index->mask + 1) / 2) && grow(index))
		return -ENOMEM;
	slot = find_slot(index, hash, space, key, length);
	if (slot->position) {
		*number = index->entries[slot->position - 1].number;
		return 1;
	}
	index->entries[index->n++] = (struct index_entry){ key, *number, space, (uint32_t)length };
	*slot = (struct index_slot){ hash, index->n };
	return 0;
}

void index_expect(const struct index *index, uint32_t space, const void *key, size_t length)
{
	if (index->slots)
		__builtin_prefetch(&index->slots[hash_of(space, key, length) & index->mask], 1);
}

bool index_find(const struct index *index, uint32_t space, const void *key, size_t length,
		uint64_t *number)
{
	const struct index_slot *slot;

	if (!index->slots)
		return false;
	slot = find_slot(index, hash_of(space, key, length), space, key, length);
	if (slot->position)
		*number = index->entries[slot->position - 1].number;
	return slot->position;
}

void index_free(struct index *index)
{
	free(index->entries);
	free(index->slots);
	*index = (struct index){};
}
