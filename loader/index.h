/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which octets were seen before, and the number they were noted with: a hash table that only grows. Pure.
 */
#ifndef SHUNT_INDEX_H
#define SHUNT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_entry;
struct index_slot;

/* All zero is an empty one. */
struct index {
	struct index_entry *entries;
	struct index_slot *slots;
	uint32_t n, mask;
};

/* So many are going to be noted: the table is made for them at once. Without memory it grows as it does. */
void index_make_room(struct index *index, uint32_t n);
/*
 * Notes a key with a number, unless it is there: then *number is the one it was noted with. Keys of
 * different spaces are different. The octets are not copied: they stay where they are as long as the
 * index. 1: it was there, 0: it is new, -ENOMEM.
 */
int index_note(struct index *index, uint32_t space, const void *key, size_t length,
	       uint64_t *number);
/* A key that is going to be noted or looked for has the cache fetch where it may be. */
void index_expect(const struct index *index, uint32_t space, const void *key, size_t length);
/* Whether it is there, and its number. */
bool index_find(const struct index *index, uint32_t space, const void *key, size_t length,
		uint64_t *number);
void index_free(struct index *index);

#endif
