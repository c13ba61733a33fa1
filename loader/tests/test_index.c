/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The index of what was seen, and the places of one configuration's names in another.
 *
 * Links: config_match.c index.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config_match.h"
#include "index.h"

#define MANY 5000

static void the_first_number_stays(void **state)
{
	struct index index = {};
	uint64_t number = 7;

	(void)state;
	assert_false(index_find(&index, 0, "abc", 3, &number));
	assert_int_equal(index_note(&index, 0, "abc", 3, &number), 0);
	number = 8;
	assert_int_equal(index_note(&index, 0, "abc", 3, &number), 1);
	assert_int_equal(number, 7);
	number = 9;
	assert_int_equal(index_note(&index, 1, "abc", 3, &number), 0);
	assert_int_equal(index_note(&index, 0, "ab", 2, &number), 0);
	assert_int_equal(index_note(&index, 0, "", 0, &number), 0);
	assert_true(index_find(&index, 1, "abc", 3, &number));
	assert_int_equal(number, 9);
	assert_false(index_find(&index, 2, "abc", 3, &number));
	assert_false(index_find(&index, 0, "abd", 3, &number));
	index_free(&index);
}

static void many_keys_are_all_found(void **state)
{
	static char keys[MANY][12];
	struct index index = {};
	uint64_t number;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		number = i;
		snprintf(keys[i], sizeof(keys[i]), "%u", i * 7919);
		assert_int_equal(index_note(&index, i % 3, keys[i], strlen(keys[i]), &number), 0);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		assert_true(index_find(&index, i % 3, keys[i], strlen(keys[i]), &number));
		assert_int_equal(number, i);
		assert_false(index_find(&index, i % 3 + 1, keys[i], strlen(keys[i]), &number));
	}
	index_free(&index);
}

static struct config_server old_one[3] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
static struct config_server old_two[1] = { { .name = "a" } };
static struct config_pool old_pools[2] = { { "one", 3, old_one }, { "two", 1, old_two } };
static struct config_vip old_vips[2] = { { .name = "v" }, { .name = "w" } };
static struct config old = { .n_pools = 2, .pools = old_pools, .n_vips = 2, .vips = old_vips };

static void expect(const struct config *config, const struct config *other, const uint32_t *servers,
		   uint32_t n, const uint32_t *pools)
{
	struct config_match match;

	assert_int_equal(config_match(config, other, &match), 0);
	assert_memory_equal(match.servers, servers, n * sizeof(*servers));
	assert_memory_equal(match.pools, pools, config->n_pools * sizeof(*pools));
	config_match_free(&match);
}

static void names_are_found_wherever_they_are(void **state)
{
	struct config_server two[4] = {
		{ .name = "c" }, { .name = "x" }, { .name = "a" }, { .name = "b" }
	};
	struct config_server one[2] = { { .name = "b" }, { .name = "c" } };
	struct config_pool pools[3] = { { "two", 4, two }, { "new", 1, one }, { "one", 2, one } };
	struct config config = { .n_pools = 3, .pools = pools };
	const uint32_t nowhere = CONFIG_NOWHERE;

	(void)state;
	expect(&config, &old, (uint32_t[]){ nowhere, nowhere, 3, nowhere, nowhere, 1, 2 }, 7,
	       (uint32_t[]){ 1, nowhere, 0 });
	expect(&old, &old, (uint32_t[]){ 0, 1, 2, 3 }, 4, (uint32_t[]){ 0, 1 });
	expect(&old, NULL, (uint32_t[]){ nowhere, nowhere, nowhere, nowhere }, 4,
	       (uint32_t[]){ nowhere, nowhere });
}

static void vips_are_found_too(void **state)
{
	struct config_vip vips[3] = { { .name = "w" }, { .name = "x" }, { .name = "v" } };
	struct config config = { .n_vips = 3, .vips = vips };
	struct config_match match;

	(void)state;
	assert_int_equal(config_match(&config, &old, &match), 0);
	assert_memory_equal(match.vips, ((uint32_t[]){ 1, CONFIG_NOWHERE, 0 }),
			    3 * sizeof(uint32_t));
	config_match_free(&match);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_number_stays),
		cmocka_unit_test(many_keys_are_all_found),
		cmocka_unit_test(names_are_found_wherever_they_are),
		cmocka_unit_test(vips_are_found_too),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
