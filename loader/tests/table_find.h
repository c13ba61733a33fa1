/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A key's value in a table, as the data path looks for it.
 */
#ifndef SHUNT_TESTS_TABLE_FIND_H
#define SHUNT_TESTS_TABLE_FIND_H

#include "lb/table.h"

static inline uint32_t find(const struct lb_bucket *table, uint32_t buckets, const uint32_t *key)
{
	struct lb_table_key wanted = lb_table_key(key);
	struct lb_buckets at = lb_table_buckets(&wanted, buckets - 1);
	uint32_t value = lb_bucket_find(&table[at.first], &wanted);

	return value ? value : lb_bucket_find(&table[at.second], &wanted);
}

#endif
