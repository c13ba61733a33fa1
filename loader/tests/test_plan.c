/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The plan: what its tables hold, numbers that stay, what a card gets.
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

#include "lb/csum.h"
#include "plan.h"
#include "table_find.h"

/* Two pools of two servers, two VIPs: IPv4 and IPv6. */
static struct config_server_id ids[4] = {
	{ .config = 0, .length = 2, .id = { 0, 1 } },
	{ .config = 0, .length = 2, .id = { 0, 2 } },
	{ .config = 3, .length = 15, .id = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } },
	{ .config = 0, .length = 2, .id = { 0, 0 } },
};
static struct config_server web[2] = {
	{ .name = "a",
	  .address = { AF_INET, { 10, 0, 0, 1 } },
	  .weight = 100,
	  .n_ids = 1,
	  .ids = &ids[0] },
	{ .name = "b",
	  .address = { AF_INET, { 10, 0, 0, 2 } },
	  .weight = 100,
	  .n_ids = 1,
	  .ids = &ids[1] },
};
static struct config_server api[2] = {
	{ .name = "a",
	  .address = { AF_INET6, { 0xfd, 1 } },
	  .weight = 100,
	  .n_ids = 2,
	  .ids = &ids[2] },
	{ .name = "c",
	  .address = { AF_INET, { 10, 0, 0, 4 } },
	  .weight = 100,
	  .mode = CONFIG_MODE_L2DSR,
	  .state = CONFIG_DRAIN },
};
static struct config_pool pools[2] = { { "web", 2, web }, { "api", 2, api } };
static struct config_vip vips[2] = {
	{ "four", { AF_INET, { 192, 0, 2, 1 } }, 443, 0 },
	{ "six", { AF_INET6, { 0x20, 1, 0xd, 0xb8 } }, 8443, 1 },
};
static struct config_cid cids[2] = {
	{ .id = 0, .server_id_length = 2, .nonce_length = 4, .pool = CONFIG_NO_POOL },
	{ .id = 3, .server_id_length = 15, .nonce_length = 4, .pool = 1, .state = CONFIG_RETIRING },
};
static struct config config = {
	.n_cids = 2,
	.n_pools = 2,
	.n_vips = 2,
	.cids = cids,
	.pools = pools,
	.vips = vips,
	.rows = 256,
	.limits = { .servers = 7, .server_ids = 8, .vips = 3, .pools = 2 },
};

static struct plan *build(const struct plan_numbers *before, const struct plan_hop *hops)
{
	struct plan_sizes sizes = plan_sizes(&config.limits, config.rows);
	struct plan *plan = NULL;
	char problem[200];

	assert_int_equal(plan_build(&config, &sizes, hops, before, &plan, problem, sizeof(problem)),
			 0);
	assert_non_null(plan);
	return plan;
}

static struct plan *build_config(const struct config *what)
{
	struct plan_sizes sizes = plan_sizes(&config.limits, 1024);
	struct plan *plan = NULL;
	char problem[200];

	assert_int_equal(plan_build(what, &sizes, NULL, NULL, &plan, problem, sizeof(problem)), 0);
	return plan;
}

static void plan_holds_vips_and_server_ids(void **state)
{
	struct plan *plan = build(NULL, NULL);
	uint32_t four[LB_KEY_WORDS] = {}, six[LB_KEY_WORDS] = {}, sid[LB_KEY_WORDS] = {};

	(void)state;
	memcpy(four, vips[0].address.octets, 16);
	four[4] = LB_VIP_KEY(4, htons(443));
	memcpy(six, vips[1].address.octets, 16);
	six[4] = LB_VIP_KEY(6, htons(8443));
	assert_int_equal(find(plan->vip_table, plan->sizes.vip_buckets, four), LB_VIP_VALUE(1, 1));
	assert_int_equal(find(plan->vip_table, plan->sizes.vip_buckets, six), LB_VIP_VALUE(2, 2));
	four[4] = LB_VIP_KEY(6, htons(443));
	assert_int_equal(find(plan->vip_table, plan->sizes.vip_buckets, four), 0);

	/* A server id of zeros is one like any other, and counts only in its pool. */
	sid[4] = LB_SID_KEY(2, 0);
	assert_int_equal(find(plan->sid_table, plan->sizes.sid_buckets, sid), 3);
	sid[4] = LB_SID_KEY(1, 0);
	assert_int_equal(find(plan->sid_table, plan->sizes.sid_buckets, sid), 0);
	memcpy(sid, ids[1].id, 2);
	assert_int_equal(find(plan->sid_table, plan->sizes.sid_buckets, sid), 2);
	assert_int_equal(plan->cids[LB_CID_INDEX(2, 3)].server_id_length, 15);
	assert_int_equal(plan->cids[LB_CID_INDEX(2, 3)].mask[3], LB_BE32(0xffffff00));
	assert_int_equal(plan->cids[LB_CID_INDEX(1, 0)].algorithm, LB_CID_CLEAR);
	assert_int_equal(plan->cids[LB_CID_INDEX(1, 1)].algorithm, LB_CID_UNSET);
	assert_int_equal(plan->cids[LB_CID_INDEX(1, 3)].algorithm, LB_CID_UNSET);
	plan_free(plan);
}

static void draining_servers_have_no_rows_but_an_entry(void **state)
{
	struct plan_hop hops[4] = {
		{ .resolved = true }, {}, { .resolved = true }, { .resolved = true, .egress = 7 }
	};
	struct plan *plan = build(NULL, hops);

	(void)state;
	for (uint32_t i = 0; i < 256; i++)
		assert_int_equal(plan->rows[2 * 256 + i], 3);
	assert_int_equal(plan->servers[4].mode, LB_MODE_L2DSR);
	assert_int_equal(plan->servers[4].egress, 7);
	assert_int_equal(plan->servers[3].mode, LB_MODE_IPIP6);
	assert_int_equal(plan->servers[1].mode, LB_MODE_IPIP4);
	assert_int_equal(plan->servers[2].mode, LB_MODE_UNSET);
	plan_free(plan);
}

/*
 * Names that are new skip the numbers that others had; with more rows a pool the maps hold fewer pools,
 * and a number beyond them would have its rows behind the table.
 */
static void pools_are_numbered_where_rows_have_room(void **state)
{
	struct config_pool old_pools[2] = { { .name = "web" }, { .name = "gone" } };
	struct config old = { .n_pools = 2, .pools = old_pools }, large = config;
	uint32_t numbers[2] = { 0, 1 };
	const struct plan_numbers before = { .config = &old, .pools = numbers };

	(void)state;
	for (uint32_t rows = 256; rows <= 1024; rows *= 2) {
		struct plan_sizes sizes = plan_sizes(&config.limits, rows);
		struct plan *plan = NULL;
		char problem[200];

		sizes.pools = 16;
		large.rows = rows;
		for (uint32_t last = 1; last <= 16; last++) {
			numbers[0] = last;
			assert_int_equal(plan_build(&large, &sizes, NULL, &before, &plan, problem,
						    sizeof(problem)),
					 0);
			for (uint32_t pool = 0; pool < large.n_pools; pool++)
				assert_in_range((plan->pool_number[pool] + 1) << plan->row_shift, 1,
						sizes.rows);
			assert_int_not_equal(plan->pool_number[0], plan->pool_number[1]);
			plan_free(plan);
		}
	}
}

/* fd02:: + fd01:: + 17 + 6081, and the carry */
#define GUE6_SUM ((0xfd02 + 0xfd01 + 17 + 6081) % 0xffff)

static void gue_entries(void **state)
{
	struct plan_hop hops[2] = { { .resolved = true }, { .resolved = true } };
	struct config_server server[2] = { web[0], api[0] };
	struct config_pool pool[2] = { { "web", 1, &server[0] }, { "api", 1, &server[1] } };
	struct config other = config;
	struct plan *plan;

	(void)state;
	server[0].mode = server[1].mode = CONFIG_MODE_GUE;
	other.pools = pool;
	other.gue_port = 6081;
	memcpy(hops[0].source.octets, (uint8_t[]){ 10, 0, 0, 9 }, 4);
	memcpy(hops[1].source.octets, (uint8_t[]){ 0xfd, 2 }, 2);
	for (int card = 0; card < 2; card++) {
		struct plan_sizes sizes = plan_sizes(&config.limits, config.rows);
		const struct lb_server *four, *six;
		char problem[200];

		sizes.known_cids = card ? 16 : 0;
		assert_int_equal(
			plan_build(&other, &sizes, hops, NULL, &plan, problem, sizeof(problem)), 0);
		four = &plan->servers[plan->server_number[0]];
		six = &plan->servers[plan->server_number[1]];
		assert_int_equal(four->mode, card ? LB_MODE_UNSET : LB_MODE_GUE4);
		assert_int_equal(six->mode, card ? LB_MODE_UNSET : LB_MODE_GUE6);
		assert_int_equal(four->outer_length, card ? 0 : 32);
		assert_int_equal(six->outer_length, card ? 0 : 52);
		assert_int_equal(ntohs(six->port), card ? 0 : 6081);
		assert_int_equal(ntohs(six->checksum), card ? 0 : GUE6_SUM);
		plan_free(plan);
	}
}

/* Host tiers redirect; a card only transmits where the packet came in. */
static void a_card_has_only_servers_that_it_reaches(void **state)
{
	const struct plan_hop hops[4] = { { .resolved = true },
					  { .resolved = true, .egress = 9 },
					  { .resolved = true },
					  { .resolved = true, .egress = 9 } };
	struct plan_sizes sizes = plan_sizes(&config.limits, config.rows);
	char problem[200];

	(void)state;
	for (int card = 0; card < 2; card++) {
		struct plan *plan;

		sizes.known_cids = card ? 16 : 0;
		assert_int_equal(plan_build(&config, &sizes, hops, NULL, &plan, problem,
					    sizeof(problem)),
				 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(plan->servers[plan->server_number[i]].mode !=
						 LB_MODE_UNSET,
					 !card || !hops[i].egress);
		plan_free(plan);
	}
}

/* conn_map's old entries shall miss when, and only when, a config's CIDs mean something else. */
static void tags_follow_what_cids_mean(void **state)
{
	struct config_cid keyed[2] = { cids[0], cids[1] };
	struct config other = config;
	struct plan *before, *same, *after;

	(void)state;
	other.cids = keyed;
	keyed[0].keyed = true;
	before = build_config(&other);
	other.rows = 512;
	same = build_config(&other);
	keyed[0].key[3] ^= 1;
	after = build_config(&other);
	for (uint32_t pool = 1; pool <= 2; pool++) {
		uint32_t index = LB_CID_INDEX(pool, 0);

		assert_int_not_equal(before->cids[index].tag, 0);
		assert_int_equal(before->cids[index].tag, same->cids[index].tag);
		assert_int_not_equal(before->cids[index].tag, after->cids[index].tag);
	}
	assert_int_not_equal(before->cids[LB_CID_INDEX(1, 0)].tag,
			     before->cids[LB_CID_INDEX(2, 0)].tag);
	plan_free(after);
	keyed[0].key[3] ^= 1;
	ids[1].id[1] ^= 4; /* of pool web: another server id names the server */
	after = build_config(&other);
	ids[1].id[1] ^= 4;
	assert_int_not_equal(before->cids[LB_CID_INDEX(1, 0)].tag,
			     after->cids[LB_CID_INDEX(1, 0)].tag);
	assert_int_equal(before->cids[LB_CID_INDEX(2, 0)].tag, after->cids[LB_CID_INDEX(2, 0)].tag);
	plan_free(after);
	plan_free(same);
	plan_free(before);
}

/* And a number that was somebody's is given to nobody else while there are others. */
static void numbers_stay_with_names(void **state)
{
	struct config_server old_api = { .name = "a" }, old_gone = { .name = "x" };
	struct config_pool old_pools[2] = { { "gone", 1, &old_gone }, { "api", 1, &old_api } };
	struct config_vip old_vip = { .name = "six" };
	struct config old = { .n_pools = 2, .pools = old_pools, .n_vips = 1, .vips = &old_vip };
	uint32_t servers[2] = { 2, 1 }, vip = 1, numbers[2] = { 1, 2 };
	const struct plan_numbers before = { &old, servers, &vip, numbers };
	struct plan *plan = build(&before, NULL);

	(void)state;
	assert_int_equal(plan->server_number[2], 1); /* api/a */
	assert_int_equal(plan->server_number[0], 3); /* web/a */
	assert_int_equal(plan->server_number[1], 4);
	assert_int_equal(plan->server_number[3], 5); /* api/c */
	assert_int_equal(plan->vip_number[1], 1);
	assert_int_equal(plan->vip_number[0], 2);
	assert_int_equal(plan->pool_number[1], 2);
	plan_free(plan);
}

static void too_small_maps_are_named(void **state)
{
	struct plan_sizes sizes = plan_sizes(&config.limits, config.rows);
	struct plan *plan = NULL;
	char problem[200];

	(void)state;
	sizes.servers = 4;
	assert_int_equal(plan_build(&config, &sizes, NULL, NULL, &plan, problem, sizeof(problem)),
			 -ENOSPC);
	assert_string_equal(problem, "the file needs 4, the maps hold 3 (limits.servers is 7)");
	sizes = plan_sizes(&config.limits, config.rows);
	sizes.vips = 1;
	assert_int_equal(plan_build(&config, &sizes, NULL, NULL, &plan, problem, sizeof(problem)),
			 -ENOSPC);
	assert_string_equal(problem, "the file needs 2, the maps hold 1 (limits.vips is 3)");
	sizes.vips = 3;
	sizes.rows = 500;
	assert_int_equal(plan_build(&config, &sizes, NULL, NULL, &plan, problem, sizeof(problem)),
			 -ENOSPC);
	assert_non_null(strstr(problem, "needs 768 rows, the maps hold 500"));
}

static void the_floor_is_what_the_file_has(void **state)
{
	struct plan_sizes floor = plan_floor(&config);
	struct plan *plan = NULL;
	char problem[200];

	(void)state;
	assert_int_equal(floor.servers, 4 + 1);
	assert_int_equal(floor.vips, 2);
	assert_int_equal(floor.pools, 2);
	assert_int_equal(floor.rows, 3 * 256);
	assert_int_equal(plan_build(&config, &floor, NULL, NULL, &plan, problem, sizeof(problem)),
			 0);
	plan_free(plan);
}

static const char *row_server(const struct plan *plan, uint32_t pool, uint32_t row)
{
	uint32_t number = plan->rows[(plan->pool_number[pool] << plan->row_shift) + row];

	for (uint32_t i = 0; i < plan->n_servers; i++)
		if (plan->server_number[i] == number)
			return plan_server(&config, i, NULL)->name;
	return "";
}

/* A card may hold less than the host: a flow's row and its server are the same on both. */
static void routes_do_not_depend_on_the_maps_sizes(void **state)
{
	struct plan_sizes floor = plan_floor(&config);
	struct plan *large = build(NULL, NULL), *small = NULL;
	char problem[200];

	(void)state;
	assert_int_equal(plan_build(&config, &floor, NULL, NULL, &small, problem, sizeof(problem)),
			 0);
	assert_true(small->sizes.servers < large->sizes.servers);
	assert_int_equal(small->row_shift, large->row_shift);
	assert_int_equal(1u << small->row_shift, config.rows);
	for (uint32_t pool = 0; pool < config.n_pools; pool++)
		for (uint32_t row = 0; row < config.rows; row++)
			assert_string_equal(row_server(small, pool, row),
					    row_server(large, pool, row));
	plan_free(small);
	plan_free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan_holds_vips_and_server_ids),
		cmocka_unit_test(draining_servers_have_no_rows_but_an_entry),
		cmocka_unit_test(pools_are_numbered_where_rows_have_room),
		cmocka_unit_test(gue_entries),
		cmocka_unit_test(a_card_has_only_servers_that_it_reaches),
		cmocka_unit_test(tags_follow_what_cids_mean),
		cmocka_unit_test(numbers_stay_with_names),
		cmocka_unit_test(too_small_maps_are_named),
		cmocka_unit_test(the_floor_is_what_the_file_has),
		cmocka_unit_test(routes_do_not_depend_on_the_maps_sizes),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
