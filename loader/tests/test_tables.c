/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * table.c and rows.c: cuckoo tables and the fallback table's rows.
 *
 * Links: plan.c plan_cids.c plan_numbers.c config_match.c index.c table.c rows.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "plan.h"
#include "table_find.h"

/* Even twice the keys that limits allow must find a place and be found. */
static void table_holds_what_limits_allow(void **state)
{
	enum { BUCKETS = 16384 };
	struct lb_bucket *table = calloc(BUCKETS, sizeof(*table));
	uint32_t absent[LB_KEY_WORDS] = { BUCKETS + 1, 2, 3, 4, 5 };

	(void)state;
	for (uint32_t i = 1; i <= BUCKETS; i++) {
		uint32_t key[LB_KEY_WORDS] = { i, 2, 3, 4, 5 };

		assert_int_equal(table_insert(table, BUCKETS, key, i), 0);
	}
	for (uint32_t i = 1; i <= BUCKETS; i++) {
		uint32_t key[LB_KEY_WORDS] = { i, 2, 3, 4, 5 };

		assert_int_equal(find(table, BUCKETS, key), i);
	}
	assert_int_equal(find(table, BUCKETS, absent), 0);
	free(table);
}

/* What limits allow always fits, small tables too: 8 VIPs in a table for 8. */
static void small_tables_hold_their_limit(void **state)
{
	(void)state;
	for (uint32_t keys = 1; keys <= 256; keys *= 2) {
		struct config_limits limits = {
			.servers = 1, .server_ids = keys, .vips = keys, .pools = 1
		};
		uint32_t buckets = plan_sizes(&limits, 16).vip_buckets;

		for (uint32_t set = 0; set < 2000; set++) {
			struct lb_bucket *table = calloc(buckets, sizeof(*table));

			for (uint32_t i = 1; i <= keys; i++) {
				uint32_t key[LB_KEY_WORDS] = { i, set };

				assert_int_equal(table_insert(table, buckets, key, i), 0);
			}
			free(table);
		}
	}
}

static void full_table_is_an_error(void **state)
{
	struct lb_bucket table[2] = {};
	int err = 0, held = 0;

	(void)state;
	for (uint32_t i = 1; i <= 5 && !err; i++) {
		uint32_t key[LB_KEY_WORDS] = { i };

		err = table_insert(table, 2, key, i);
		held += !err;
	}
	assert_int_equal(err, -ENOSPC);
	assert_true(held >= 2 && held <= 4);
}

enum { N = 10, ROWS = 4096 };

static char names[N][16];
static const char *name_list[N];
static uint32_t weights[N], numbers[N];

static int name_servers(void **state)
{
	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "s%d", i);
		name_list[i] = names[i];
		weights[i] = 100;
		numbers[i] = (uint32_t)i + 1;
	}
	return 0;
}

static uint32_t share(const uint32_t *rows, uint32_t number)
{
	uint32_t n = 0;

	for (int i = 0; i < ROWS; i++)
		n += rows[i] == number;
	return n;
}

static void rows_follow_weights(void **state)
{
	static uint32_t rows[ROWS];
	uint32_t total = 0;

	(void)state;
	name_servers(NULL);
	weights[0] = 0;
	weights[1] = 50;
	weights[2] = 1;
	for (int i = 0; i < N; i++)
		total += weights[i];
	assert_int_equal(rows_fill(rows, ROWS, N, name_list, weights, numbers), 0);
	assert_int_equal(share(rows, 0), 0);
	assert_int_equal(share(rows, 1), 0);
	for (int i = 1; i < N; i++) {
		double exact = (double)ROWS * weights[i] / total;

		assert_true(share(rows, numbers[i]) >= exact - 2);
		assert_true(share(rows, numbers[i]) <= exact + 2);
	}
}

static void rows_depend_on_names_alone(void **state)
{
	static uint32_t rows[ROWS], other[ROWS];
	const char *reversed[N];
	uint32_t reversed_numbers[N];

	(void)state;
	name_servers(NULL);
	for (int i = 0; i < N; i++) {
		reversed[i] = name_list[N - 1 - i];
		reversed_numbers[i] = numbers[N - 1 - i];
	}
	rows_fill(rows, ROWS, N, name_list, weights, numbers);
	rows_fill(other, ROWS, N, reversed, weights, reversed_numbers);
	assert_memory_equal(rows, other, sizeof(rows));
}

/* One of ten goes: its tenth must move, and of the rest only a few per cent may. */
static void a_server_that_goes_moves_few_others(void **state)
{
	static uint32_t rows[ROWS], after[ROWS];
	uint32_t moved = 0;

	(void)state;
	name_servers(NULL);
	rows_fill(rows, ROWS, N, name_list, weights, numbers);
	weights[3] = 0;
	rows_fill(after, ROWS, N, name_list, weights, numbers);
	assert_int_equal(share(after, numbers[3]), 0);
	for (int i = 0; i < ROWS; i++)
		moved += rows[i] != numbers[3] && rows[i] != after[i];
	assert_true(moved < ROWS * 5 / 100);
}

static void nobody_with_weight_leaves_rows_unset(void **state)
{
	static uint32_t rows[ROWS];

	(void)state;
	name_servers(NULL);
	memset(weights, 0, sizeof(weights));
	memset(rows, 0xff, sizeof(rows));
	assert_int_equal(rows_fill(rows, ROWS, N, name_list, weights, numbers), 0);
	assert_int_equal(share(rows, 0), ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_holds_what_limits_allow),
		cmocka_unit_test(small_tables_hold_their_limit),
		cmocka_unit_test(full_table_is_an_error),
		cmocka_unit_test(rows_follow_weights),
		cmocka_unit_test(rows_depend_on_names_alone),
		cmocka_unit_test(a_server_that_goes_moves_few_others),
		cmocka_unit_test(nobody_with_weight_leaves_rows_unset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
