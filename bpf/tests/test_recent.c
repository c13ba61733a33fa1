/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb/recent.h: a flow that lasts is never missed, whatever came in between; one that nobody knows is
 * rarely asked for; and what is over makes room.
 */
#include "frame.h"

#include "lb/recent.h"

#define LIFE 33 /* units, as the loader sets it at the most: UNITS_AT_MOST and one */

static __u64 random_state;

static __u64 draw(void)
{
	random_state += 0x9e3779b97f4a7c15;
	__u64 x = (random_state ^ random_state >> 30) * 0xbf58476d1ce4e5b9;

	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

struct map {
	struct lb_recent *lines;
	__u32 mask; /* of slots */
};

static struct map map_make(__u32 slots)
{
	struct map map = { calloc(slots / LB_RECENT_SLOTS, sizeof(*map.lines)), slots - 1 };

	assert_non_null(map.lines);
	random_state = slots;
	return map;
}

static void meet(const struct map *map, __u64 hash, __u32 wanted, __u32 now)
{
	lb_recent_meet(&map->lines[LB_RECENT_INDEX(hash, map->mask)], hash, wanted & 0xff,
		       now & 0xff, LIFE);
}

static int met(const struct map *map, __u64 hash, __u32 now)
{
	return lb_recent_met(&map->lines[LB_RECENT_INDEX(hash, map->mask)], hash, now & 0xff, LIFE);
}

/* Of as many that nobody knows, how many are asked for. */
static __u32 asked_for(const struct map *map, __u32 many, __u32 now)
{
	__u32 n = 0;

	for (__u32 i = 0; i < many; i++)
		n += met(map, draw(), now) != 0;
	return n;
}

/* Flows come, come again, with longer times and shorter ones, and go, four times round the octet. */
static void nobody_is_missed(__u32 slots, __u32 flows)
{
	struct map map = map_make(slots);
	struct {
		__u64 hash;
		__u32 until;
	} *known = calloc(flows, sizeof(*known));

	assert_non_null(known);
	for (__u32 now = 1000; now < 2024; now++) {
		for (__u32 i = 0; i < flows / 8 + 1; i++) {
			__u32 one = (__u32)draw() % flows,
			      wanted = now + (__u32)draw() % (LIFE + 1);

			if (known[one].until < now)
				known[one].hash = draw();
			meet(&map, known[one].hash, wanted, now);
			if (known[one].until < wanted)
				known[one].until = wanted;
		}
		for (__u32 i = 0; i < flows; i++)
			assert_true(known[i].until < now || met(&map, known[i].hash, now));
	}
	free(known);
	free(map.lines);
}

static void a_flow_is_never_missed(void **state)
{
	(void)state;
	nobody_is_missed(32, 1);
	nobody_is_missed(32, 32);
	nobody_is_missed(32, 200); /* more than it has room for */
	nobody_is_missed(1024, 600);
	nobody_is_missed(1024, 3000);
}

static void strangers_are_rarely_asked_for(void **state)
{
	/* In ten thousandths, of each quarter of the room. */
	static const __u32 at_most[] = { 120, 250, 1000, 4200 };
	struct map map = map_make(1 << 16);

	(void)state;
	assert_int_equal(asked_for(&map, 10000, 7), 0);
	for (__u32 quarter = 0; quarter < 4; quarter++) {
		for (__u32 i = 0; i < 1 << 14; i++)
			meet(&map, draw(), 7 + LIFE, 7);
		assert_in_range(asked_for(&map, 10000, 7), 1, at_most[quarter]);
	}
	free(map.lines);
}

/* Also what everybody had a part in is over when the last one's time is. */
static void what_is_over_makes_room(void **state)
{
	struct map map = map_make(1 << 16);
	__u64 flow = 0;

	(void)state;
	for (__u32 i = 0; i < 1 << 20; i++)
		meet(&map, draw(), 20, 7);
	assert_int_equal(asked_for(&map, 1000, 20), 1000);
	assert_int_equal(asked_for(&map, 1000, 21), 0);
	for (__u32 i = 0; i < 1 << 15; i++)
		meet(&map, flow = draw(), 30, 21);
	assert_true(met(&map, flow, 30));
	assert_false(met(&map, flow, 31));
	assert_in_range(asked_for(&map, 10000, 21), 1, 250);
	free(map.lines);
}

/* It was full once: when half have gone, and the others go on, it is as if they had been alone. */
static void a_full_moment_is_forgotten(void **state)
{
	struct map map = map_make(1 << 16);
	__u64 *flows = calloc(1 << 16, sizeof(*flows));
	const __u32 go_on = 1 << 15, all = 15 << 12;

	(void)state;
	assert_non_null(flows);
	for (__u32 i = 0; i < all; i++)
		meet(&map, flows[i] = draw(), 100 + (i < go_on ? 20 : 1), 100);
	assert_in_range(asked_for(&map, 10000, 100), 1000, 4200);
	for (__u32 now = 101; now < 101 + 2 * LIFE; now++)
		for (__u32 i = 0; i < go_on; i++)
			meet(&map, flows[i], now + 20, now);
	assert_in_range(asked_for(&map, 10000, 100 + 2 * LIFE), 1, 250);
	free(flows);
	free(map.lines);
}

/* A flow that is met again and again has one slot, and the later time stays. */
static void a_flow_has_one_slot(void **state)
{
	struct lb_recent line;
	const lb_recent_slot *slots = (const lb_recent_slot *)line.words;

	(void)state;
	random_state = 1;
	for (__u32 turn = 0; turn < 1000; turn++) {
		__u64 hash = draw();
		__u32 taken = 0;

		memset(&line, 0, sizeof(line));
		for (__u32 now = 250; now < 270; now++) {
			lb_recent_meet(&line, hash, (now + 9) & 0xff, now & 0xff, LIFE);
			lb_recent_meet(&line, hash, now & 0xff, now & 0xff, LIFE);
		}
		for (__u32 i = 0; i < LB_RECENT_SLOTS; i++)
			if (slots[i]) {
				assert_int_equal(slots[i] >> 8, (269 + 9) & 0xff);
				taken++;
			}
		assert_int_equal(taken, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_is_never_missed),
		cmocka_unit_test(strangers_are_rarely_asked_for),
		cmocka_unit_test(what_is_over_makes_room),
		cmocka_unit_test(a_full_moment_is_forgotten),
		cmocka_unit_test(a_flow_has_one_slot),
	};

	return cmocka_run_group_tests_name("recent", tests, NULL, NULL);
}
