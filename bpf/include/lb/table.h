/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a key of vip_map or sid_map may stand: two buckets by one hash, two slots each. The reader
 * looks at four slots at most, whatever the load; the loader's table.c does the filling.
 */
#ifndef LB_TABLE_H
#define LB_TABLE_H

#include "lb/abi.h"
#include "lb/hash.h"

/* A key as a bucket's slot holds it, in pairs of words: a card fetches two for the price of one. */
struct lb_table_key {
	__u64 first, second;
	__u32 last;
};

static LB_INLINE __u64 lb_pair_of(__u32 low, __u32 high)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u64)high << 32 | low;
#else
	return (__u64)low << 32 | high;
#endif
}

static LB_INLINE __u32 lb_pair_low(__u64 pair)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u32)pair;
#else
	return (__u32)(pair >> 32);
#endif
}

static LB_INLINE __u32 lb_pair_high(__u64 pair)
{
	return lb_pair_low(pair >> 32 | pair << 32);
}

/* words: LB_KEY_WORDS of them. */
static LB_INLINE struct lb_table_key lb_table_key(const __u32 *words)
{
	return (struct lb_table_key){ lb_pair_of(words[0], words[1]),
				      lb_pair_of(words[2], words[3]), words[4] };
}

/*
 * The two buckets where a key may stand, which may be equal; mask: buckets - 1, of 24 bits at most. The
 * lowest bits of the hash's two halves hang together, so the second bucket is made of higher ones.
 */
struct lb_buckets {
	__u32 first, second;
};

static LB_INLINE struct lb_buckets lb_table_buckets(const struct lb_table_key *key, __u32 mask)
{
	__u64 hash = lb_hash(key->first, key->second, key->last);

	return (struct lb_buckets){ (__u32)hash & mask, (__u32)(hash >> 40) & mask };
}

/* The value that belongs to a key, 0 if another key stands there; an empty slot has the value 0. */
static LB_INLINE __u32 lb_table_match(const struct lb_slot *slot, const struct lb_table_key *key)
{
	const lb_pair *have = (const lb_pair *)slot;
	__u64 last = have[2];
	__u64 differs = (have[0] ^ key->first) | (have[1] ^ key->second) |
			(lb_pair_low(last) ^ key->last);

	LB_OPAQUE(differs);
	return differs ? 0 : lb_pair_high(last);
}

/* The key's value in this bucket, 0 if it is not there. */
static LB_INLINE __u32 lb_bucket_find(const struct lb_bucket *bucket,
				      const struct lb_table_key *key)
{
	__u32 value = lb_table_match(&bucket->slot[0], key);

	return value ? value : lb_table_match(&bucket->slot[1], key);
}

#endif
