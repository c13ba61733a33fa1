/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a key of vip_map or sid_map may stand: two buckets by one hash, two slots each. The reader
 * looks at four slots at most, whatever the load; the loader's table.c does the filling.
 */
#ifndef LB_TABLE_H
#define LB_TABLE_H

#include "lb/abi.h"
#include "lb/hash.h"

struct lb_table_key {
	__u32 word[LB_KEY_WORDS];
};

/* mask: buckets - 1. The two may be equal. */
static LB_INLINE struct lb_hash lb_table_buckets(const struct lb_table_key *key, __u32 mask)
{
	struct lb_hash hash = lb_hash_words(key->word, LB_KEY_WORDS, LB_SEED_TABLE);

	hash.first &= mask;
	hash.second &= mask;
	return hash;
}

static LB_INLINE __u32 lb_table_match(const struct lb_slot *slot, const struct lb_table_key *key)
{
	__u32 differs = (slot->key[0] ^ key->word[0]) | (slot->key[1] ^ key->word[1]) |
			(slot->key[2] ^ key->word[2]) | (slot->key[3] ^ key->word[3]) |
			(slot->key[4] ^ key->word[4]);

	LB_OPAQUE(differs);
	return differs ? 0 : slot->value;
}

/* The key's value in this bucket, 0 if it is not there. An empty slot has the value 0. */
static LB_INLINE __u32 lb_bucket_find(const struct lb_bucket *bucket,
				      const struct lb_table_key *key)
{
	__u32 value = lb_table_match(&bucket->slot[0], key);

	return value ? value : lb_table_match(&bucket->slot[1], key);
}

#endif
