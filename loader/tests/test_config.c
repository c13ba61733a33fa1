/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration: which finding every mistake makes, what defaults are, octets there and
 * back, differences, and that no text at all makes the reader stumble.
 *
 * Links: config.c config_yaml.c config_tree.c config_read.c config_schema.c config_check.c config_ways.c config_nat.c config_risks.c config_json.c config_pack.c config_diff.c config_match.c config_address.c config_keys.c index.c keys.c memory.c pack.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_again.h"
#include "config_mistakes.h"

#define MUTATIONS 20000

static bool has_path(const struct config_findings *findings, const char *path)
{
	for (uint32_t i = 0; i < findings->n; i++)
		if (!findings->list[i].warning && !strcmp(findings->list[i].path, path))
			return true;
	return false;
}

static void show(const char *text, const struct config_findings *findings)
{
	print_error("%s\n", text);
	for (uint32_t i = 0; i < findings->n; i++)
		print_error("  found %s: %s\n", findings->list[i].path, findings->list[i].text);
}

static void check_mistake(const struct mistake *mistake)
{
	struct config_findings findings = {};
	struct config *config;
	uint32_t n = 0;

	assert_int_equal(config_parse(mistake->text, strlen(mistake->text), &config, &findings),
			 -EINVAL);
	assert_null(config);
	while (n < PATHS_MAX && mistake->paths[n]) {
		if (!has_path(&findings, mistake->paths[n])) {
			show(mistake->text, &findings);
			fail_msg("nothing found at '%s'", mistake->paths[n]);
		}
		n++;
	}
	if (findings.errors != n)
		show(mistake->text, &findings);
	assert_int_equal(findings.errors, n);
	config_findings_free(&findings);
}

static void every_mistake_has_its_finding(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		check_mistake(&mistakes[i]);
}

static struct config *parse(const char *text, struct config_findings *findings)
{
	struct config_findings own = {};
	struct config *config;

	if (!findings)
		findings = &own;
	if (config_parse(text, strlen(text), &config, findings)) {
		show(text, findings);
		fail_msg("not valid");
	}
	if (findings == &own)
		config_findings_free(&own);
	return config;
}

static void a_syntax_error_names_line_and_column(void **state)
{
	struct config_findings findings = {};
	const char text[] = "version: 1\nvips: [}\n";
	struct config *config;

	(void)state;
	assert_int_equal(config_parse(text, strlen(text), &config, &findings), -EINVAL);
	assert_int_equal(findings.n, 1);
	assert_non_null(strstr(findings.list[0].text, "line 2, column 8"));
	config_findings_free(&findings);
}

static void a_nul_octet_is_refused(void **state)
{
	struct config_findings findings = {};
	struct config *config;

	(void)state;
	assert_int_equal(config_parse("version: 1\n\0", 12, &config, &findings), -EINVAL);
	assert_int_equal(findings.errors, 1);
	config_findings_free(&findings);
}

static void one_machine_may_have_its_ids_in_a_pool_of_each_family(void **state)
{
	(void)state;
	config_free(parse(
		"version: 1\nforwarding: {mode: nat}\n" CIDS
		"pools: [{name: p, servers: [{name: a, address: 10.0.0.1, server_ids: [{config: 0, id: 000001}]}]},"
		" {name: q, servers: [{name: a, address: '2001:db8::1', server_ids: [{config: 0, id: 000001}]}]}]\n",
		NULL));
}

static void fields_and_defaults(void **state)
{
	struct config_findings findings = {};
	struct config *config = parse(valid, &findings);
	const struct config_server *a = &config->pools[0].servers[0], *b = a + 1;
	const uint8_t id[] = { 0xc4, 0x60, 0x5e }, last[] = { 0, 1, 2, 3, 4, 5, 6, 8 };
	char text[INET6_ADDRSTRLEN];

	(void)state;
	assert_int_equal(findings.n, 0);
	assert_int_equal(config->n_interfaces, 1);
	assert_string_equal(config->interfaces[0].name, "eth0");
	assert_int_equal(config->interfaces[0].tier, TIER_DRIVER);
	assert_int_equal(config->interfaces[0].require, TIER_GENERIC);
	assert_true(config->interfaces[0].exclusive);
	assert_int_equal(config->n_cids, 2);
	assert_int_equal(config->cids[0].state, CONFIG_RETIRING);
	assert_int_equal(config->cids[1].state, CONFIG_ACTIVE);
	assert_int_equal(a->weight, 100);
	assert_int_equal(a->mode, CONFIG_MODE_IPIP);
	assert_int_equal(a->state, CONFIG_UP);
	assert_int_equal(a->n_ids, 2);
	assert_int_equal(a->ids[0].length, 3);
	assert_memory_equal(a->ids[0].id, id, 3);
	assert_int_equal(b->weight, 0);
	assert_int_equal(b->mode, CONFIG_MODE_L2DSR);
	assert_int_equal(b->state, CONFIG_DRAIN);
	assert_memory_equal(b->ids[0].id, last, 8);
	assert_string_equal(config_address_text(&b->address, text), "2001:db8::2");
	assert_int_equal(config->vips[0].port, 443);
	assert_int_equal(config->vips[0].pool, 0);
	assert_int_equal(config->source_v4.family, AF_INET);
	assert_int_equal(config->source_v6.family, 0);
	assert_int_equal(config->gue_port, 6080);
	assert_int_equal(config->cids[0].length_check, LB_LENGTH_UNCHECKED);
	assert_int_equal(config->cids[0].pool, CONFIG_NO_POOL);
	assert_false(config->cids[0].keyed);
	assert_int_equal(config->min_quiet, CONFIG_DEFAULT_MIN_QUIET);
	assert_int_equal(config->rows, LB_DEFAULT_ROWS);
	assert_int_equal(config->limits.servers, LB_DEFAULT_SERVERS);
	assert_int_equal(config->limits.pools, LB_DEFAULT_POOLS);
	config_free(config);
	config_findings_free(&findings);
}

/* 1500 servers in 20 pools, as JSON, which is YAML too. */
static char *large_file(void)
{
	json_t *pools = json_array(), *servers, *file;
	char name[16], address[INET_ADDRSTRLEN + 16], *text;

	for (int p = 0; p < 20; p++) {
		servers = json_array();
		for (int i = 0; i < 75; i++) {
			snprintf(name, sizeof(name), "s%d", i);
			snprintf(address, sizeof(address), "10.0.%d.%d", p, i + 1);
			json_array_append_new(servers, json_pack("{s:s, s:s}", "name", name,
								 "address", address));
		}
		snprintf(name, sizeof(name), "p%d", p);
		json_array_append_new(pools,
				      json_pack("{s:s, s:o}", "name", name, "servers", servers));
	}
	file = json_pack("{s:i, s:o}", "version", 1, "pools", pools);
	text = json_dumps(file, 0);
	json_decref(file);
	return text;
}

static void limits_grow_with_the_file(void **state)
{
	char *text = large_file();
	struct config *config = parse(text, NULL);

	(void)state;
	assert_int_equal(config->limits.servers, 2048);
	assert_int_equal(config->limits.pools, 32);
	assert_int_equal(config->limits.vips, LB_DEFAULT_VIPS);
	config_free(config);
	free(text);
}

struct risk {
	const char *text, *path, *part;
};

static const struct risk risks[] = {
	{ "version: 1\n", "vips", "none" },
	{ "version: 1\n" CIDS SERVERS(
		  "{name: a, address: 10.0.0.1, server_ids: [{config: 0, id: c4605e}]}") VIPS,
	  "pools[0].servers[0].server_ids", "no id in an active config" },
	{ "version: 1\n" CIDS SERVERS(A) VIPS, "cid_configs[1]", "no server" },
	{ "version: 1\ncid_configs: [{id: 2, server_id_length: 1, nonce_length: 4}]\n" SERVERS(
		  "{name: a, address: 10.0.0.1, server_ids: [{config: 2, id: 01}, {config: 2, id: 02},"
		  " {config: 2, id: 03}]}") VIPS,
	  "pools[0]", "1 in 683 " },
	{ "version: 1\ncid_configs: [{id: 2, server_id_length: 1, nonce_length: 4, state: retiring}]\n" SERVERS(
		  "{name: a, address: 10.0.0.1, server_ids: [{config: 2, id: 01}]}") VIPS,
	  "cid_configs", "none is active" },
	{ "version: 1\ncid_configs: [{id: 2, server_id_length: 3, nonce_length: 4}]\n" SERVERS(
		  "{name: a, address: 10.0.0.1, server_ids: [{config: 2, id: 000001}]}") VIPS,
	  "cid_configs[0].nonce_length", "after 65536 connection IDs" },
	{ "version: 1\ncid_configs: [{id: 2, server_id_length: 3, nonce_length: 5, pool: web},"
	  " {id: 3, server_id_length: 3, nonce_length: 6}]\n" SERVERS(
		  "{name: a, address: 10.0.0.1, server_ids: [{config: 2, id: 000001},"
		  " {config: 3, id: 000001}]}") VIPS,
	  "pools[0]", "2 active configs (2, 3)" },
	{ "version: 1\nfallback: {rows: 128}\n" SERVERS(A ", {name: b, address: 10.0.0.2}") VIPS,
	  "fallback.rows", "uneven" },
	{ "version: 1\nforwarding: {source_v4: 203.0.113.80}\n" SERVERS(A) VIPS,
	  "forwarding.source_v4", "vips[0]" },
	{ "version: 1\nforwarding: {mode: gue, gue_port: 443}\n" SERVERS(A) VIPS, "vips[0].port",
	  "forwarding.gue_port" },
	{ "version: 1\npools: [{name: web, servers: [" A "]}, {name: idle, servers: [" A
	  "]}]\n" VIPS,
	  "pools[1]", "no VIP" },
};

static void every_risk_has_its_warning(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(risks) / sizeof(risks[0]); i++) {
		struct config_findings findings = {};
		struct config *config = parse(risks[i].text, &findings);
		bool found = false;

		for (uint32_t k = 0; k < findings.n; k++)
			found |= findings.list[k].warning &&
				 !strcmp(findings.list[k].path, risks[i].path) &&
				 strstr(findings.list[k].text, risks[i].part);
		if (!found) {
			show(risks[i].text, &findings);
			fail_msg("no warning at %s", risks[i].path);
		}
		config_findings_free(&findings);
		config_free(config);
	}
}

static void what_is_kept_is_read_back(void **state)
{
	struct config *config = parse(valid, NULL), *again = config_again(config);
	json_t *json = config_to_json(config), *json_again = config_to_json(again), *changes;

	(void)state;
	assert_true(json_equal(json, json_again));
	assert_true(config_equal(config, again));
	changes = config_diff(config, again);
	assert_int_equal(json_array_size(changes), 0);
	again->pools[0].servers[0].ids[0].id[0] ^= 1;
	assert_false(config_equal(config, again));
	json_decref(changes);
	config_free(again);
	json_decref(json_again);
	json_decref(json);
	config_free(config);
}

/* Whatever was kept is refused or read: the sanitizers watch. */
static void wrong_octets_do_no_harm(void **state)
{
	struct config *config = parse(valid, NULL), *again;
	struct pack pack = {}, part;
	uint32_t n_read = 0;

	(void)state;
	assert_int_equal(config_pack(config, &pack), 0);
	for (size_t length = 0; length < pack.n; length++) {
		part = (struct pack){ .octets = pack.octets, .n = length, .reads = true };
		assert_int_equal(config_unpack(&part, &again), -EINVAL);
		assert_null(again);
	}
	for (size_t at = 0; at < pack.n; at++)
		for (int bit = 0; bit < 8; bit++) {
			int error;

			pack.octets[at] ^= 1 << bit;
			part = (struct pack){ .octets = pack.octets, .n = pack.n, .reads = true };
			error = config_unpack(&part, &again);
			assert_int_equal(!error, !!again);
			if (again)
				assert_false(config_equal(config, again));
			n_read += !error;
			config_free(again);
			pack.octets[at] ^= 1 << bit;
		}
	assert_true(n_read > 0);
	pack_free(&pack);
	config_free(config);
}

/* Names decide, not places: who only moved has not changed. */
static void order_is_no_difference(void **state)
{
	struct config *before = parse(valid, NULL), *after = parse(valid, NULL);
	struct config_pool *pool = &after->pools[0];
	struct config_server first = pool->servers[0];
	json_t *changes;

	(void)state;
	assert_true(pool->n_servers > 1);
	pool->servers[0] = pool->servers[pool->n_servers - 1];
	pool->servers[pool->n_servers - 1] = first;
	changes = config_diff(before, after);
	assert_int_equal(json_array_size(changes), 0);
	json_decref(changes);
	pool->servers[0].state = CONFIG_DRAIN - pool->servers[0].state;
	changes = config_diff(before, after);
	assert_int_equal(json_array_size(changes), 1);
	json_decref(changes);
	config_free(after);
	config_free(before);
}

static void expect_change(const json_t *changes, size_t i, const char *change, const char *path,
			  const char *field)
{
	const json_t *one = json_array_get(changes, i);
	const char *found = json_string_value(json_object_get(one, "field"));

	assert_string_equal(json_string_value(json_object_get(one, "change")), change);
	assert_string_equal(json_string_value(json_object_get(one, "path")), path);
	assert_string_equal(found ? found : "", field);
}

static void differences_by_name(void **state)
{
	struct config *before = parse(valid, NULL);
	struct config *after =
		parse("version: 1\nfallback: {rows: 8192}\n"
		      "forwarding: {source_v4: 192.0.2.1}\n"
		      "interfaces: [{name: eth0, tier: driver, require: generic}]\n"
		      "cid_configs:\n"
		      "- {id: 1, server_id_length: 8, nonce_length: 8}\n"
		      "pools:\n"
		      "- name: web\n"
		      "  servers:\n"
		      "  - {name: c, address: 198.51.100.3}\n"
		      "  - {name: b, address: '2001:db8::2', weight: 7, state: drain, mode: l2dsr,"
		      " server_ids: [{config: 1, id: '0001020304050608'}]}\n" VIPS,
		      NULL);
	json_t *changes = config_diff(before, after);

	(void)state;
	assert_int_equal(json_array_size(changes), 5);
	expect_change(changes, 0, "modify", "fallback", "rows");
	expect_change(changes, 1, "remove", "cid_configs.0", "");
	expect_change(changes, 2, "remove", "pools.web.servers.a", "");
	expect_change(changes, 3, "add", "pools.web.servers.c", "");
	expect_change(changes, 4, "modify", "pools.web.servers.b", "weight");
	json_decref(changes);
	changes = config_diff(NULL, before);
	/* 5 sections, interface, 2 configs, pool, 2 servers, VIP */
	assert_int_equal(json_array_size(changes), 12);
	json_decref(changes);
	config_free(before);
	config_free(after);
}

#define ONE "{name: a, address: 198.51.100.1}"

static void gue_and_its_port(void **state)
{
	struct config *before = parse("version: 1\n" SERVERS(ONE), NULL), *again;
	struct config *after =
		parse("version: 1\nforwarding: {mode: gue, gue_port: 65535}\n" SERVERS(ONE), NULL);
	json_t *changes = config_diff(before, after);

	(void)state;
	assert_int_equal(after->mode, CONFIG_MODE_GUE);
	assert_int_equal(after->pools[0].servers[0].mode, CONFIG_MODE_GUE);
	assert_int_equal(after->gue_port, 65535);
	expect_change(changes, 0, "modify", "forwarding", "mode");
	expect_change(changes, 1, "modify", "forwarding", "gue_port");
	expect_change(changes, 2, "modify", "pools.web.servers.a", "mode");
	again = config_again(after);
	assert_int_equal(again->mode, CONFIG_MODE_GUE);
	assert_int_equal(again->gue_port, 65535);
	assert_int_equal(again->pools[0].servers[0].mode, CONFIG_MODE_GUE);
	config_free(again);
	json_decref(changes);
	config_free(after);
	config_free(before);
}

/* VIPs of both families, and of one address, are no contradiction while each answer is of one. */
static void nat_and_its_ports(void **state)
{
	struct config *config =
		parse("version: 1\nforwarding: {mode: nat}\n"
		      "pools: [{name: web, servers: [{name: a, address: 10.0.0.1, port: 8443},"
		      " {name: b, address: '2001:db8::2', mode: ipip}]},"
		      " {name: alt, servers: [{name: a, address: 10.0.0.1}]},"
		      " {name: six, servers: [{name: a, address: '2001:db8::1', port: 8443}]}]\n"
		      "vips: [{name: www, address: 203.0.113.80, port: 443, pool: web},"
		      " {name: alt, address: 203.0.113.80, port: 8444, pool: alt},"
		      " {name: more, address: 203.0.113.80, port: 8445, pool: alt},"
		      " {name: six, address: '2001:db8:80::80', port: 443, pool: six}]\n",
		      NULL);
	struct config *again;

	(void)state;
	assert_int_equal(config->pools[0].servers[0].mode, CONFIG_MODE_NAT);
	assert_int_equal(config->pools[0].servers[0].port, 8443);
	assert_int_equal(config->pools[1].servers[0].port, 0);
	again = config_again(config);
	assert_int_equal(again->pools[0].servers[0].port, 8443);
	assert_int_equal(again->pools[1].servers[0].port, 0);
	config_free(again);
	config_free(config);
}

static void addresses_and_octets(void **state)
{
	struct config_address a, b;
	uint8_t octets[4];

	(void)state;
	assert_int_equal(config_address_parse("192.0.2.1", &a), 0);
	assert_int_equal(config_address_parse("192.0.2.1", &b), 0);
	assert_true(config_address_equal(&a, &b));
	assert_int_equal(config_address_parse("192.0.2.1 ", &a), -EINVAL);
	assert_int_equal(config_address_parse("fe80::1%lo", &a), -EINVAL);
	assert_int_equal(config_hex_parse("", octets, 4), 0);
	assert_int_equal(config_hex_parse("aA:bB", octets, 4), 2);
	assert_int_equal(octets[1], 0xbb);
	assert_int_equal(config_hex_parse("aa:", octets, 4), -EINVAL);
	assert_int_equal(config_hex_parse("aa::bb", octets, 4), -EINVAL);
	assert_int_equal(config_hex_parse(":aa", octets, 4), -EINVAL);
	assert_int_equal(config_hex_parse("a", octets, 4), -EINVAL);
	assert_int_equal(config_hex_parse("0011223344", octets, 4), -ENOSPC);
}

/* Any change of a few octets gives a configuration or findings; the sanitizers watch. */
static void mutations_do_no_harm(void **state)
{
	static const char spice[] = "{}[]:,-&*!|>'\"#%@`\n\t \\0197aeZ\xc3\xff";
	uint32_t random = 1, n_valid = 0;
	char text[sizeof(valid)];

	(void)state;
	for (int i = 0; i < MUTATIONS; i++) {
		struct config_findings findings = {};
		struct config *config;
		int error;

		memcpy(text, valid, sizeof(valid));
		for (int k = 0; k <= i % 4; k++) {
			random = random * 1664525 + 1013904223;
			text[(random >> 8) % (sizeof(valid) - 1)] =
				spice[(random >> 3) % (sizeof(spice) - 1)];
		}
		error = config_parse(text, sizeof(valid) - 1, &config, &findings);
		assert_int_equal(!error, !!config);
		assert_int_equal(!error, !findings.errors);
		n_valid += !error;
		config_free(config);
		config_findings_free(&findings);
	}
	assert_true(n_valid > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_has_its_finding),
		cmocka_unit_test(a_syntax_error_names_line_and_column),
		cmocka_unit_test(a_nul_octet_is_refused),
		cmocka_unit_test(one_machine_may_have_its_ids_in_a_pool_of_each_family),
		cmocka_unit_test(fields_and_defaults),
		cmocka_unit_test(limits_grow_with_the_file),
		cmocka_unit_test(every_risk_has_its_warning),
		cmocka_unit_test(what_is_kept_is_read_back),
		cmocka_unit_test(wrong_octets_do_no_harm),
		cmocka_unit_test(order_is_no_difference),
		cmocka_unit_test(differences_by_name),
		cmocka_unit_test(gue_and_its_port),
		cmocka_unit_test(nat_and_its_ports),
		cmocka_unit_test(addresses_and_octets),
		cmocka_unit_test(mutations_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
