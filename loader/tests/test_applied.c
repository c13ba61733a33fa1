/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is kept with the maps comes back whole, or not at all.
 *
 * Links: applied.c config.c config_yaml.c config_tree.c config_read.c config_schema.c config_check.c config_ways.c config_nat.c config_risks.c config_json.c config_pack.c config_diff.c config_match.c config_address.c config_keys.c index.c keys.c memory.c pack.c plan.c plan_cids.c plan_numbers.c table.c rows.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "applied.h"

static const char text[] =
	"version: 1\n"
	"cid_configs: [{id: 0, server_id_length: 2, nonce_length: 4}]\n"
	"pools:\n"
	"- {name: one, servers: [{name: a, address: 10.0.0.1, server_ids: [{config: 0, id: '0001'}]},"
	" {name: b, address: '2001:db8::2', mode: gue, weight: 7}]}\n"
	"- {name: two, servers: [{name: a, address: 10.0.0.3, state: drain}]}\n"
	"vips: [{name: v, address: 192.0.2.1, port: 443, pool: two}]\n";

struct kept {
	struct config *config;
	struct plan *plan;
	struct pack pack;
};

static void keep(struct kept *kept)
{
	struct config_findings findings = {};
	struct plan_sizes sizes;
	char problem[200];

	*kept = (struct kept){};
	assert_int_equal(config_parse(text, sizeof(text) - 1, &kept->config, &findings), 0);
	config_findings_free(&findings);
	sizes = plan_sizes(&kept->config->limits, kept->config->rows);
	assert_int_equal(plan_build(kept->config, &sizes, NULL, NULL, &kept->plan, problem,
				    sizeof(problem)),
			 0);
	assert_int_equal(applied_pack(kept->plan, &kept->pack), 0);
	kept->pack.reads = true;
}

static void drop(struct kept *kept)
{
	pack_free(&kept->pack);
	plan_free(kept->plan);
	config_free(kept->config);
}

static int read_back(const struct kept *kept, size_t length, const struct plan_sizes *sizes,
		     struct config **config, struct plan_numbers **numbers)
{
	struct pack pack = { .octets = kept->pack.octets, .n = length, .reads = true };

	return applied_unpack(&pack, sizes, config, numbers);
}

static void config_and_numbers_come_back(void **state)
{
	struct plan_numbers *numbers;
	struct config *config;
	struct kept kept;

	(void)state;
	keep(&kept);
	assert_int_equal(kept.pack.n % sizeof(uint32_t), 0);
	assert_int_equal(read_back(&kept, kept.pack.n, &kept.plan->sizes, &config, &numbers), 0);
	assert_true(config_equal(config, kept.config));
	assert_ptr_equal(numbers->config, config);
	assert_memory_equal(numbers->servers, kept.plan->server_number, 3 * sizeof(uint32_t));
	assert_memory_equal(numbers->pools, kept.plan->pool_number, 2 * sizeof(uint32_t));
	assert_int_equal(numbers->vips[0], kept.plan->vip_number[0]);
	assert_int_equal(plan_pool_number(kept.config, numbers, 1), kept.plan->pool_number[1]);
	plan_numbers_free(numbers);
	config_free(config);
	drop(&kept);
}

/* Whole pieces are read, so zeros may follow. */
static void more_octets_do_not_matter(void **state)
{
	struct plan_numbers *numbers;
	struct config *config;
	struct kept kept;
	char zeros[100] = {};

	(void)state;
	keep(&kept);
	kept.pack.reads = false;
	pack_octets(&kept.pack, zeros, sizeof(zeros));
	assert_int_equal(read_back(&kept, kept.pack.n, &kept.plan->sizes, &config, &numbers), 0);
	assert_true(config_equal(config, kept.config));
	plan_numbers_free(numbers);
	config_free(config);
	drop(&kept);
}

static void refuse(const struct kept *kept, size_t length, const struct plan_sizes *sizes)
{
	struct plan_numbers *numbers;
	struct config *config;

	assert_int_equal(read_back(kept, length, sizes, &config, &numbers), -EINVAL);
	assert_null(config);
	assert_null(numbers);
}

static void nothing_else_is_taken_for_it(void **state)
{
	struct kept kept;

	(void)state;
	keep(&kept);
	for (size_t length = 0; length < kept.pack.n; length++)
		refuse(&kept, length, &kept.plan->sizes);
	for (size_t at = 0; at < kept.pack.n; at++) {
		kept.pack.octets[at] ^= 0x10;
		refuse(&kept, kept.pack.n, &kept.plan->sizes);
		kept.pack.octets[at] ^= 0x10;
	}
	drop(&kept);
}

static void numbers_beyond_the_maps_are_refused(void **state)
{
	struct plan_sizes sizes;
	struct kept kept;

	(void)state;
	keep(&kept);
	sizes = kept.plan->sizes;
	sizes.servers = 3;
	refuse(&kept, kept.pack.n, &sizes);
	sizes = kept.plan->sizes;
	sizes.pools = 1;
	refuse(&kept, kept.pack.n, &sizes);
	sizes = kept.plan->sizes;
	sizes.vips = 0;
	refuse(&kept, kept.pack.n, &sizes);
	drop(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_and_numbers_come_back),
		cmocka_unit_test(more_octets_do_not_matter),
		cmocka_unit_test(nothing_else_is_taken_for_it),
		cmocka_unit_test(numbers_beyond_the_maps_are_refused),
	};

	return cmocka_run_group_tests_name("applied", tests, NULL, NULL);
}
