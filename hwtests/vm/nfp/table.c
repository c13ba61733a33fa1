// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The storage of one map on the card: an ARRAY is one block, a HASH a table of chained entries.
 * Keys and values are bytes as the driver sent them; what they mean is not this file's business.
 */
#include <linux/jhash.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "card.h"

#define MAX_BUCKETS 16384u

struct entry {
	struct hlist_node node;
	u8 bytes[]; /* the key, then the value */
};

struct table *table_new(u32 type, u32 key_size, u32 value_size, u32 max_entries)
{
	struct table *table = kzalloc(sizeof(*table), GFP_KERNEL);

	if (!table)
		return NULL;
	INIT_LIST_HEAD(&table->list);
	table->type = type;
	table->key_size = key_size;
	table->value_size = value_size;
	table->max_entries = max_entries;
	if (type == BPF_MAP_TYPE_ARRAY) {
		table->array = vzalloc(array_size(value_size, max_entries));
	} else {
		table->n_buckets = min_t(u32, roundup_pow_of_two(max_entries), MAX_BUCKETS);
		table->buckets = kvcalloc(table->n_buckets, sizeof(*table->buckets), GFP_KERNEL);
	}
	if (!table->array && !table->buckets) {
		kfree(table);
		return NULL;
	}
	return table;
}

void table_free(struct table *table)
{
	struct hlist_node *next;
	struct entry *entry;
	u32 i;

	for (i = 0; i < table->n_buckets; i++)
		hlist_for_each_entry_safe(entry, next, &table->buckets[i], node)
			kfree(entry);
	kvfree(table->buckets);
	vfree(table->array);
	kfree(table);
}

static u32 index_of(const u8 *key)
{
	u32 index;

	memcpy(&index, key, sizeof(index));
	return index;
}

static u32 bucket_of(const struct table *table, const u8 *key)
{
	return jhash(key, table->key_size, 0) & (table->n_buckets - 1);
}

static struct entry *find(const struct table *table, const u8 *key)
{
	struct entry *entry;

	hlist_for_each_entry(entry, &table->buckets[bucket_of(table, key)], node)
		if (!memcmp(entry->bytes, key, table->key_size))
			return entry;
	return NULL;
}

u8 *table_value(struct table *table, const u8 *key)
{
	struct entry *entry;

	if (table->array)
		return index_of(key) < table->max_entries ?
			       table->array + (size_t)index_of(key) * table->value_size :
			       NULL;
	entry = find(table, key);
	return entry ? entry->bytes + table->key_size : NULL;
}

static enum nfp_bpf_cmsg_status insert(struct table *table, const u8 *key, const u8 *value)
{
	struct entry *entry;

	if (table->array || table->n_entries == table->max_entries)
		return CMSG_RC_ERR_MAP_E2BIG;
	entry = kmalloc(sizeof(*entry) + table->key_size + table->value_size, GFP_KERNEL);
	if (!entry)
		return CMSG_RC_ERR_MAP_NOMEM;
	memcpy(entry->bytes, key, table->key_size);
	memcpy(entry->bytes + table->key_size, value, table->value_size);
	hlist_add_head(&entry->node, &table->buckets[bucket_of(table, key)]);
	table->n_entries++;
	return CMSG_RC_SUCCESS;
}

enum nfp_bpf_cmsg_status table_update(struct table *table, const u8 *key, const u8 *value,
				      u32 flags)
{
	u8 *old = table_value(table, key);

	if (old && flags == BPF_NOEXIST)
		return CMSG_RC_ERR_MAP_EXIST;
	if (!old && flags == BPF_EXIST)
		return CMSG_RC_ERR_MAP_NOENT;
	if (!old)
		return insert(table, key, value);
	memcpy(old, value, table->value_size);
	return CMSG_RC_SUCCESS;
}

enum nfp_bpf_cmsg_status table_delete(struct table *table, const u8 *key)
{
	struct entry *entry;

	if (table->array)
		return CMSG_RC_ERR_MAP_ERR;
	entry = find(table, key);
	if (!entry)
		return CMSG_RC_ERR_MAP_NOENT;
	hlist_del(&entry->node);
	kfree(entry);
	table->n_entries--;
	return CMSG_RC_SUCCESS;
}

static enum nfp_bpf_cmsg_status array_next(const struct table *table, const u8 *key, u8 *next)
{
	u32 index = 0;

	if (key && index_of(key) < table->max_entries)
		index = index_of(key) + 1;
	if (index == table->max_entries)
		return CMSG_RC_ERR_MAP_NOENT;
	memcpy(next, &index, sizeof(index));
	return CMSG_RC_SUCCESS;
}

/* A key that is gone starts the walk again, as the kernel's own hash map does. */
enum nfp_bpf_cmsg_status table_next(struct table *table, const u8 *key, u8 *next)
{
	struct entry *entry = NULL;
	u32 bucket = 0;

	if (table->array)
		return array_next(table, key, next);
	if (key)
		entry = find(table, key);
	if (entry) {
		bucket = bucket_of(table, key) + 1;
		entry = hlist_entry_safe(entry->node.next, struct entry, node);
	}
	for (; !entry && bucket < table->n_buckets; bucket++)
		entry = hlist_entry_safe(table->buckets[bucket].first, struct entry, node);
	if (!entry)
		return CMSG_RC_ERR_MAP_NOENT;
	memcpy(next, entry->bytes, table->key_size);
	return CMSG_RC_SUCCESS;
}
