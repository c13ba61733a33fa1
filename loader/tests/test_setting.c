/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * setting.c: when an apply changes how long flows are remembered, what flow_recent_map has of them is only
 * believed where it cannot miss one.
 *
 * Links: setting.c clock.c maps.c reason.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lb/recent.h"
#include "setting.h"

static struct lb_setting setting(uint32_t handshake, uint32_t idle, uint32_t flows,
				 const struct lb_setting *before)
{
	struct config config = { .tracking = { .budget = 100,
					       .vip_share = 50,
					       .handshake_timeout = handshake,
					       .idle_timeout = idle },
				 .limits.flows = flows };
	struct plan plan = { .config = &config };
	struct plan_sizes sizes = { .flows = flows, .vips = 1, .address_buckets = 16 };

	return setting_of(&plan, &sizes, 0, before);
}

/* Once in its time every flow of `before` has been met, at its latest moment: is each told of by `now`? */
static int tells_of_all(const struct lb_setting *before, const struct lb_setting *now)
{
	const uint32_t then = 1u << 28;
	uint32_t last = before->established_ticks, known = now->established_ticks;

	for (uint32_t tick = then; tick - then <= (last < known ? last : known);
	     tick += 1u << now->recent_shift) {
		struct lb_recent line = {};

		lb_recent_meet(&line, 1, lb_recent_time(before, then + last),
			       lb_recent_time(before, then), before->recent_life);
		if (!lb_recent_met(&line, 1, lb_recent_time(now, tick), now->recent_life))
			return 0;
	}
	return 1;
}

static void believed_where_none_is_missed(void **state)
{
	static const uint32_t times[] = { 1, 15, 16, 100, 150, 200, 250, 299, 300, 500, 3600 };
	const size_t n = sizeof(times) / sizeof(times[0]);
	uint32_t kept = 0, not_kept = 0;

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			struct lb_setting before = setting(1, times[i], 4096, NULL);
			struct lb_setting now = setting(1, times[j], 4096, &before);

			if (now.recent_since == before.recent_since) {
				assert_true(tells_of_all(&before, &now));
				kept++;
			} else {
				assert_false(lb_recent_counts(&now, now.recent_since + 1));
				not_kept++;
			}
		}
	assert_true(kept >= n && not_kept > n);
}

static void what_has_grown_is_waited_for(void **state)
{
	struct lb_setting before = setting(15, 300, 4096, NULL);
	struct lb_setting longer = setting(200, 300, 4096, &before);
	struct lb_setting shorter = setting(10, 300, 4096, &before);
	struct lb_setting larger = setting(15, 300, 8192, &before);

	(void)state;
	assert_int_equal(longer.recent_life, before.recent_life);
	assert_false(setting_keeps_recent(&before, &longer));
	assert_int_not_equal(longer.recent_since, before.recent_since);
	assert_true(setting_keeps_recent(&before, &shorter));
	assert_int_equal(shorter.recent_since, before.recent_since);
	assert_false(setting_keeps_recent(&before, &larger));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(believed_where_none_is_missed),
		cmocka_unit_test(what_has_grown_is_waited_for),
	};

	return cmocka_run_group_tests_name("setting", tests, NULL, NULL);
}
