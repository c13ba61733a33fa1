/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sizes found for maps on devices of every kind: one limit a map, one budget, a number of maps.
 *
 * Links: fit.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "fit.h"

#define N(list) (sizeof(list) / sizeof((list)[0]))

/* A device by its limits; 0: none. */
struct device {
	uint32_t each, budget, maps;
	int error; /* for everything */
};

static int take(const struct fit_map *maps, size_t n, size_t *refused, void *context)
{
	const struct device *device = context;
	uint32_t left = device->budget;

	for (size_t i = 0; i < n; i++) {
		*refused = i;
		assert_in_range(maps[i].entries, 1, maps[i].wanted);
		if (device->error)
			return -device->error;
		if (device->each && maps[i].entries > device->each)
			return -ENOMEM;
		if (device->budget && maps[i].entries > left)
			return -ENOMEM;
		if (device->maps && i >= device->maps)
			return -ENOMEM;
		left -= device->budget ? maps[i].entries : 0;
	}
	return 0;
}

static const struct fit_map three[] = {
	{ .name = "row_map", .wanted = 131072, .floor = 8192 },
	{ .name = "sid_map", .wanted = 16384, .floor = 64 },
	{ .name = "meta_map", .wanted = 1, .floor = 1 },
};

static int fit(struct device device, struct fit_map *maps, struct fit_refusal *refusal)
{
	for (size_t i = 0; i < N(three); i++)
		maps[i] = three[i];
	return fit_find(maps, N(three), take, &device, refusal);
}

static void a_large_device_takes_what_is_wished(void **state)
{
	struct fit_refusal refusal;
	struct fit_map maps[N(three)];

	(void)state;
	assert_int_equal(fit((struct device){}, maps, &refusal), 0);
	for (size_t i = 0; i < N(three); i++)
		assert_int_equal(maps[i].entries, maps[i].wanted);
}

static void a_limit_a_map_cuts_only_the_larger_ones(void **state)
{
	struct fit_refusal refusal;
	struct fit_map maps[N(three)];

	(void)state;
	assert_int_equal(fit((struct device){ .each = 20000 }, maps, &refusal), 0);
	assert_int_equal(maps[0].entries, 16384);
	assert_int_equal(maps[1].entries, 16384);
	assert_int_equal(maps[2].entries, 1);
}

static void a_budget_is_shared(void **state)
{
	struct fit_refusal refusal;
	struct fit_map maps[N(three)];

	(void)state;
	assert_int_equal(fit((struct device){ .budget = 50000 }, maps, &refusal), 0);
	assert_int_equal(maps[0].entries, 32768);
	assert_int_equal(maps[1].entries, 16384);
	assert_int_equal(fit((struct device){ .budget = 8192 + 64 + 1 }, maps, &refusal), 0);
	assert_int_equal(maps[0].entries, 8192);
	assert_int_equal(maps[1].entries, 64);
}

/* Any two limits: what comes out is taken, and lies between floor and wish. */
static void whatever_the_device_what_comes_out_fits(void **state)
{
	struct fit_refusal refusal;
	struct fit_map maps[N(three)];
	size_t refused;

	(void)state;
	for (uint32_t each = 8192; each < 140000; each += 4099)
		for (uint32_t budget = 8257; budget < 150000; budget += 3001) {
			struct device device = { .each = each, .budget = budget };

			assert_int_equal(fit(device, maps, &refusal), 0);
			assert_int_equal(take(maps, N(maps), &refused, &device), 0);
			for (size_t i = 0; i < N(maps); i++)
				assert_in_range(maps[i].entries, maps[i].floor, maps[i].wanted);
		}
}

static void too_small_for_one_map_is_told_with_figures(void **state)
{
	struct fit_refusal refusal;
	struct fit_map maps[N(three)];

	(void)state;
	assert_int_equal(fit((struct device){ .each = 2 }, maps, &refusal), -ENOMEM);
	assert_true(refusal.alone);
	assert_int_equal(refusal.map, 0);
	assert_int_equal(refusal.takes, 2);
	assert_int_equal(maps[0].floor, 8192);
}

static void too_small_for_all_is_told_with_figures(void **state)
{
	struct fit_refusal refusal;
	struct fit_map maps[N(three)];

	(void)state;
	assert_int_equal(fit((struct device){ .budget = 8192 + 63 }, maps, &refusal), -ENOMEM);
	assert_false(refusal.alone);
	assert_int_equal(refusal.map, 1);
	assert_int_equal(refusal.before, 8192);
	assert_int_equal(refusal.total, 8192 + 64 + 1);
}

static void too_many_maps_is_no_matter_of_size(void **state)
{
	struct fit_refusal refusal;
	struct fit_map maps[N(three)];

	(void)state;
	assert_int_equal(fit((struct device){ .maps = 2 }, maps, &refusal), -ENOMEM);
	assert_false(refusal.alone);
	assert_int_equal(refusal.map, 2);
}

static void what_size_does_not_help_is_not_tried_again(void **state)
{
	static const int errors[] = { EPERM, EOPNOTSUPP, ENODEV, ETIMEDOUT, EIO };
	struct fit_refusal refusal;
	struct fit_map maps[N(three)];

	(void)state;
	for (size_t i = 0; i < N(errors); i++) {
		assert_int_equal(fit((struct device){ .error = errors[i] }, maps, &refusal),
				 -errors[i]);
		assert_int_equal(refusal.map, 0);
		assert_int_equal(refusal.takes, 0);
	}
	assert_int_equal(fit((struct device){ .error = EINVAL }, maps, &refusal), -EINVAL);
	assert_true(refusal.alone);
	assert_int_equal(refusal.takes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_device_takes_what_is_wished),
		cmocka_unit_test(a_limit_a_map_cuts_only_the_larger_ones),
		cmocka_unit_test(a_budget_is_shared),
		cmocka_unit_test(whatever_the_device_what_comes_out_fits),
		cmocka_unit_test(too_small_for_one_map_is_told_with_figures),
		cmocka_unit_test(too_small_for_all_is_told_with_figures),
		cmocka_unit_test(too_many_maps_is_no_matter_of_size),
		cmocka_unit_test(what_size_does_not_help_is_not_tried_again),
	};

	return cmocka_run_group_tests_name("fit", tests, NULL, NULL);
}
