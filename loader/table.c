/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fills the bucketed tables that lb/table.h reads: cuckoo hashing, two buckets a key, two slots a
 * bucket. With a table twice as large as its keys a place is practically always found.
 */
#include <errno.h>
#include <string.h>

#include "lb/table.h"
#include "plan.h"

#define MAX_MOVES 512

static int put_in_bucket(struct lb_bucket *bucket, const struct lb_slot *entry)
{
	for (int i = 0; i < LB_SLOTS; i++) {
		if (!bucket->slot[i].value) {
			bucket->slot[i] = *entry;
			return 1;
		}
	}
	return 0;
}

void table_expect(const struct lb_bucket *table, uint32_t buckets, const uint32_t *key)
{
	struct lb_table_key words = lb_table_key(key);
	struct lb_buckets hash = lb_table_buckets(&words, buckets - 1);

	__builtin_prefetch(&table[hash.first], 1);
	__builtin_prefetch(&table[hash.second], 1);
}

int table_insert(struct lb_bucket *table, uint32_t buckets, const uint32_t *key, uint32_t value)
{
	struct lb_slot entry = { .value = value }, moved;
	uint32_t from = UINT32_MAX;

	memcpy(entry.key, key, sizeof(entry.key));
	for (int move = 0; move < MAX_MOVES; move++) {
		struct lb_table_key words = lb_table_key(entry.key);
		struct lb_buckets hash = lb_table_buckets(&words, buckets - 1);
		uint32_t home;

		if (put_in_bucket(&table[hash.first], &entry) ||
		    put_in_bucket(&table[hash.second], &entry))
			return 0;
		/* Turn out someone from the bucket this entry was not just turned out of. */
		home = hash.first == from ? hash.second : hash.first;
		moved = table[home].slot[move % LB_SLOTS];
		table[home].slot[move % LB_SLOTS] = entry;
		entry = moved;
		from = home;
	}
	return -ENOSPC;
}
