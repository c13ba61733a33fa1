/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which CIDs are promoted, and which are not, of traffic made up sample by sample.
 *
 * Links: promote.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "promote.h"

#define SECOND 1000
#define ROOM   512

/* A card as it is told, and the time. */
struct bench {
	struct promote *promote;
	int64_t now;
	uint32_t puts, drops;
	struct promote_change last[ROOM];
	size_t n;
};

static struct lb_conn_key key_of(uint32_t number)
{
	return (struct lb_conn_key){ .cid = { number, ~number }, .config = 9, .tag = 77 };
}

static struct bench bench_of(uint32_t budget)
{
	return (struct bench){ .promote = promote_new(budget, 4711), .now = SECOND };
}

static void meet(struct bench *bench, uint32_t number, uint32_t times, double packets)
{
	struct lb_conn_key key = key_of(number);

	for (uint32_t i = 0; i < times; i++)
		promote_sample(bench->promote, &key, 1 + number % 7, packets, bench->now);
}

static void turn(struct bench *bench)
{
	bench->n = promote_turn(bench->promote, bench->now, bench->last, ROOM);
	for (size_t i = 0; i < bench->n; i++) {
		bench->puts += !bench->last[i].drop;
		bench->drops += bench->last[i].drop;
	}
}

static bool changed(const struct bench *bench, uint32_t number, bool drop)
{
	struct lb_conn_key key = key_of(number);

	for (size_t i = 0; i < bench->n; i++)
		if (!memcmp(&bench->last[i].key, &key, sizeof(key)))
			return bench->last[i].drop == drop;
	return false;
}

/* The card counted: all that are promoted, once each. */
static void look(struct bench *bench, uint64_t packets)
{
	for (uint32_t i = 0; i < promote_count(bench->promote); i++)
		promote_counted(bench->promote, promote_next(bench->promote), packets, bench->now);
}

static void met_often_enough_is_promoted_once(void **state)
{
	struct bench bench = bench_of(16);

	(void)state;
	meet(&bench, 1, PROMOTE_SAMPLES - 1, 10);
	turn(&bench);
	assert_int_equal(bench.n, 0);
	meet(&bench, 1, 1, 10);
	turn(&bench);
	assert_int_equal(bench.n, 1);
	assert_true(changed(&bench, 1, false));
	assert_int_equal(bench.last[0].server, 2);
	meet(&bench, 1, 100, 10);
	turn(&bench);
	assert_int_equal(bench.n, 0);
	assert_int_equal(promote_count(bench.promote), 1);
	promote_free(bench.promote);
}

static void met_too_seldom_is_not_promoted(void **state)
{
	struct bench bench = bench_of(16);

	(void)state;
	for (int i = 0; i < 100; i++) {
		meet(&bench, 1, 1, 1000);
		turn(&bench);
		bench.now += 2 * PROMOTE_HALF_LIFE_MS;
	}
	assert_int_equal(bench.puts, 0);
	promote_free(bench.promote);
}

/* A thousand made-up ones a second for two minutes, and a hot one that is met every other second. */
static void flood_promotes_nothing_and_hides_nothing(void **state)
{
	struct bench bench = bench_of(16);
	uint32_t made_up = 1000;

	(void)state;
	meet(&bench, 1, PROMOTE_SAMPLES, 50);
	turn(&bench);
	assert_true(changed(&bench, 1, false));
	for (int second = 0; second < 120; second++) {
		for (int i = 0; i < 1000; i++)
			meet(&bench, made_up++, 1, 1e6);
		if (second % 2)
			meet(&bench, 2, 1, 1);
		look(&bench, (uint64_t)second + 1);
		bench.now += SECOND;
		turn(&bench);
	}
	assert_int_equal(bench.puts, 2);
	assert_int_equal(bench.drops, 0);
	assert_int_equal(promote_count(bench.promote), 2);
	promote_free(bench.promote);
}

static void budget_is_kept_and_the_hottest_are_in(void **state)
{
	struct bench bench = bench_of(8);

	(void)state;
	for (uint32_t number = 0; number < 100; number++)
		meet(&bench, number, PROMOTE_SAMPLES, number);
	turn(&bench);
	assert_int_equal(bench.n, 8);
	for (uint32_t number = 92; number < 100; number++)
		assert_true(changed(&bench, number, false));
	bench.now += SECOND;
	turn(&bench);
	assert_int_equal(bench.n, 0);
	assert_int_equal(promote_count(bench.promote), promote_budget(bench.promote));
	promote_free(bench.promote);
}

static void idle_one_goes_and_used_one_stays(void **state)
{
	struct bench bench = bench_of(16);
	struct lb_conn_key used = key_of(1), idle = key_of(2);
	int64_t begin = bench.now;

	(void)state;
	meet(&bench, 1, PROMOTE_SAMPLES, 10);
	meet(&bench, 2, PROMOTE_SAMPLES, 1000);
	turn(&bench);
	while (!bench.drops && bench.now < begin + 2 * PROMOTE_IDLE_MS) {
		bench.now += SECOND;
		promote_counted(bench.promote, &used, (uint64_t)bench.now, bench.now);
		promote_counted(bench.promote, &idle, 0, bench.now);
		turn(&bench);
	}
	assert_int_equal(bench.now - begin, PROMOTE_IDLE_MS);
	assert_true(changed(&bench, 2, true));
	assert_int_equal(promote_count(bench.promote), 1);
	/* It may come back, but as any other. */
	meet(&bench, 2, 1, 1000);
	turn(&bench);
	assert_int_equal(bench.n, 0);
	promote_free(bench.promote);
}

/* However long it takes until it is its turn to be looked at. */
static void only_who_was_looked_at_is_idle(void **state)
{
	struct bench bench = bench_of(16);
	struct lb_conn_key key = key_of(1);

	(void)state;
	meet(&bench, 1, PROMOTE_SAMPLES, 10);
	turn(&bench);
	bench.now += 10 * PROMOTE_IDLE_MS;
	turn(&bench);
	assert_int_equal(bench.n, 0);
	promote_counted(bench.promote, &key, 1, bench.now);
	turn(&bench);
	assert_int_equal(bench.n, 0);
	promote_free(bench.promote);
}

static void full_card_changes_for_a_clearly_hotter_one_only(void **state)
{
	struct bench bench = bench_of(2);

	(void)state;
	meet(&bench, 1, PROMOTE_SAMPLES, 100);
	meet(&bench, 2, PROMOTE_SAMPLES, 1000);
	turn(&bench);
	assert_int_equal(bench.n, 2);
	/* Hotter, but they have only just come. */
	meet(&bench, 3, PROMOTE_SAMPLES, 500);
	turn(&bench);
	assert_int_equal(bench.n, 0);
	bench.now += PROMOTE_STAY_MS;
	/* Somewhat hotter than the coldest. */
	promote_forget(bench.promote, &(struct lb_conn_key){ .cid = { 3, ~3u }, 9, 77 });
	meet(&bench, 4, PROMOTE_SAMPLES, 150);
	turn(&bench);
	assert_int_equal(bench.n, 0);
	bench.now += PROMOTE_COMPARE_MS;
	meet(&bench, 3, PROMOTE_SAMPLES, 500);
	turn(&bench);
	assert_int_equal(bench.n, 2);
	assert_true(bench.last[0].drop && changed(&bench, 1, true));
	assert_true(!bench.last[1].drop && changed(&bench, 3, false));
	assert_int_equal(promote_count(bench.promote), 2);
	promote_free(bench.promote);
}

static void two_equals_do_not_take_turns(void **state)
{
	struct bench bench = bench_of(1);

	(void)state;
	for (int second = 0; second < 300; second++) {
		meet(&bench, 1, 1, 10);
		meet(&bench, 2, 1, 10);
		look(&bench, (uint64_t)second * 10);
		bench.now += SECOND;
		turn(&bench);
	}
	assert_int_equal(bench.puts, 1);
	promote_free(bench.promote);
}

static bool newer(const struct lb_conn_key *key, void *context)
{
	(void)context;
	return key->tag == 78;
}

static void another_meaning_drops_all_of_the_old(void **state)
{
	struct bench bench = bench_of(16);
	struct lb_conn_key stays = key_of(5);

	(void)state;
	stays.tag = 78;
	assert_true(promote_adopt(bench.promote, &stays, 3, 10, bench.now));
	meet(&bench, 1, PROMOTE_SAMPLES, 10);
	turn(&bench);
	meet(&bench, 2, PROMOTE_SAMPLES - 1, 10);
	promote_revise(bench.promote, newer, NULL);
	turn(&bench);
	assert_int_equal(bench.n, 1);
	assert_true(changed(&bench, 1, true));
	assert_int_equal(promote_count(bench.promote), 1);
	/* What was met is forgotten, too. */
	meet(&bench, 2, 1, 10);
	turn(&bench);
	assert_int_equal(bench.n, 0);
	assert_memory_equal(promote_next(bench.promote), &stays, sizeof(stays));
	promote_free(bench.promote);
}

static void adopted_up_to_the_budget(void **state)
{
	struct bench bench = bench_of(2);

	(void)state;
	for (uint32_t number = 0; number < 3; number++) {
		struct lb_conn_key key = key_of(number);

		assert_true(promote_adopt(bench.promote, &key, 1, 5, bench.now) == (number < 2));
	}
	assert_int_equal(promote_count(bench.promote), 2);
	promote_free(bench.promote);
}

static void card_with_less_room_than_it_said(void **state)
{
	struct bench bench = bench_of(16);

	(void)state;
	for (uint32_t number = 0; number < 4; number++)
		meet(&bench, number, PROMOTE_SAMPLES, 10 + number);
	turn(&bench);
	assert_int_equal(bench.n, 4);
	promote_forget(bench.promote, &bench.last[3].key);
	promote_full(bench.promote);
	assert_int_equal(promote_budget(bench.promote), 3);
	meet(&bench, 9, PROMOTE_SAMPLES, 10);
	turn(&bench);
	assert_int_equal(bench.n, 0);
	promote_free(bench.promote);
}

static void no_more_changes_than_asked_for(void **state)
{
	struct bench bench = bench_of(64);
	struct promote_change few[8];
	size_t sum = 0, n;

	(void)state;
	for (uint32_t number = 0; number < 64; number++)
		meet(&bench, number, PROMOTE_SAMPLES, 10);
	while ((n = promote_turn(bench.promote, bench.now, few, 8))) {
		assert_in_range(n, 1, 8);
		sum += n;
	}
	assert_int_equal(sum, 64);
	promote_free(bench.promote);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(met_often_enough_is_promoted_once),
		cmocka_unit_test(met_too_seldom_is_not_promoted),
		cmocka_unit_test(flood_promotes_nothing_and_hides_nothing),
		cmocka_unit_test(budget_is_kept_and_the_hottest_are_in),
		cmocka_unit_test(idle_one_goes_and_used_one_stays),
		cmocka_unit_test(only_who_was_looked_at_is_idle),
		cmocka_unit_test(full_card_changes_for_a_clearly_hotter_one_only),
		cmocka_unit_test(two_equals_do_not_take_turns),
		cmocka_unit_test(another_meaning_drops_all_of_the_old),
		cmocka_unit_test(adopted_up_to_the_budget),
		cmocka_unit_test(card_with_less_room_than_it_said),
		cmocka_unit_test(no_more_changes_than_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
