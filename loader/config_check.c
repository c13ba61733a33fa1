/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules that take more than one field of the file to judge. Pure.
 */
#include <errno.h>
#include <string.h>

#include "config_internal.h"
#include "index.h"

struct checker {
	const struct config *config;
	struct config_findings *findings;
	const struct config_cid *cids[LB_CONFIG_IDS]; /* of the pool that is looked at, by id */
	bool no_memory;
};

/* Remembers key with where it stands. True if it was there before; *where is then the first place. */
static bool seen_before(struct checker *checker, struct index *seen, uint32_t space,
			const void *key, size_t length, uint64_t *where)
{
	int found = index_note(seen, space, key, length, where);

	checker->no_memory |= found < 0;
	return found == 1;
}

static bool name_seen(struct checker *checker, struct index *seen, const char *name,
		      uint64_t *where)
{
	return *name && seen_before(checker, seen, 0, name, strlen(name), where);
}

static bool address_seen(struct checker *checker, struct index *seen, uint16_t port,
			 const struct config_address *address, uint64_t *where)
{
	return seen_before(checker, seen, port, address->octets,
			   address->family == AF_INET ? 4 : sizeof(address->octets), where);
}

static void check_interfaces(struct checker *checker)
{
	const struct config *config = checker->config;
	struct index seen = {};
	uint64_t first;
	uint32_t i;

	for (i = 0; i < config->n_interfaces; i++) {
		const struct config_interface *interface = &config->interfaces[i];

		first = i;
		if (name_seen(checker, &seen, interface->name, &first))
			config_error(checker->findings, PATH_AT("interfaces[%u].name", i),
				     "%s is interfaces[%u] already", interface->name,
				     (uint32_t)first);
		if (interface->tier != TIER_NONE && interface->require < interface->tier)
			config_error(checker->findings, PATH_AT("interfaces[%u].require", i),
				     "asks for a better tier than 'tier' allows");
	}
	index_free(&seen);
}

/* Where the configs of one id stand, -1: nowhere. */
struct places {
	int64_t of_all[LB_CONFIG_IDS]; /* the config for all pools */
	int64_t first[LB_CONFIG_IDS]; /* whichever comes first */
	struct index of_pools;
};

/* A packet must find one config at most under an id: one for all pools excludes any other. */
static void check_cid_id(struct checker *checker, struct places *places, uint32_t i)
{
	const struct config_cid *cid = &checker->config->cids[i];
	bool for_all = cid->pool == CONFIG_NO_POOL;
	int64_t other = for_all ? places->first[cid->id] : places->of_all[cid->id];
	uint64_t first = i;

	if (other < 0 && !for_all &&
	    seen_before(checker, &places->of_pools, cid->id, &cid->pool, sizeof(cid->pool), &first))
		other = first;
	if (other >= 0)
		config_error(checker->findings, PATH_AT("cid_configs[%u].id", i),
			     "config %u is cid_configs[%u] already%s", cid->id, (uint32_t)other,
			     for_all && checker->config->cids[other].pool != CONFIG_NO_POOL ?
				     "; this one is for all pools" :
				     "");
	if (places->first[cid->id] < 0)
		places->first[cid->id] = i;
	if (for_all && places->of_all[cid->id] < 0)
		places->of_all[cid->id] = i;
}

static void check_cids(struct checker *checker)
{
	const struct config *config = checker->config;
	struct places places = {};
	uint32_t i;

	memset(places.of_all, -1, sizeof(places.of_all));
	memset(places.first, -1, sizeof(places.first));
	for (i = 0; i < config->n_cids; i++) {
		const struct config_cid *cid = &config->cids[i];
		uint32_t body = cid->server_id_length + cid->nonce_length;

		/* 19 and its bound: a connection ID of QUIC v1 has 20 octets (RFC 9000 section 17.2). */
		if (cid->server_id_length && cid->nonce_length && body > LB_BODY_MAX)
			config_error(checker->findings, PATH_AT("cid_configs[%u].nonce_length", i),
				     "with server_id_length it makes %u octets; %u is the most",
				     body, LB_BODY_MAX);
		if (cid->id < LB_CONFIG_IDS && cid->pool != CONFIG_BAD_POOL)
			check_cid_id(checker, &places, i);
	}
	index_free(&places.of_pools);
}

/*
 * What is wrong with asking for a config with this id, which the pool has not. NULL: nothing; some config's
 * id or pool has a finding, so it may be that one.
 */
static const char *missing_cid(const struct config *config, uint8_t id)
{
	const char *problem = "there is no config %u in cid_configs";

	for (uint32_t i = 0; i < config->n_cids; i++) {
		const struct config_cid *cid = &config->cids[i];

		if (cid->id == id)
			problem = "config %u is for another pool";
		if (cid->id == LB_CONFIG_RESERVED ||
		    (cid->id == id && cid->pool == CONFIG_BAD_POOL))
			return NULL;
	}
	return problem;
}

/*
 * One machine by its addresses of both families: with nat it is in a pool of each, under one name, and its
 * connection IDs are the same in both.
 */
static bool is_same_machine(const struct config *config, uint32_t pool, uint32_t server,
			    uint32_t other_pool, uint32_t other)
{
	const struct config_server *a = &config->pools[pool].servers[server];
	const struct config_server *b = &config->pools[other_pool].servers[other];

	return pool != other_pool && !strcmp(a->name, b->name) &&
	       a->address.family != b->address.family;
}

static void check_server_id(struct checker *checker, struct index *seen, uint32_t pool,
			    uint32_t server, uint32_t i)
{
	const struct config_server_id *id = &checker->config->pools[pool].servers[server].ids[i];
	uint64_t first = (uint64_t)pool << 32 | server;
	char hex[2 * LB_SERVER_ID_MAX + 1];
	const struct config_cid *cid;
	const char *problem;

	if (id->config >= LB_CONFIG_IDS)
		return;
	cid = checker->cids[id->config];
	problem = cid ? NULL : missing_cid(checker->config, id->config);
	if (problem)
		config_error(checker->findings,
			     PATH_AT("pools[%u].servers[%u].server_ids[%u].config", pool, server,
				     i),
			     problem, id->config);
	if (!cid)
		return;
	if (cid->server_id_length && id->length && cid->server_id_length != id->length)
		config_error(checker->findings,
			     PATH_AT("pools[%u].servers[%u].server_ids[%u].id", pool, server, i),
			     "has %u octets; server ids of config %u have %u", id->length,
			     id->config, cid->server_id_length);
	if (!id->length)
		return;
	if (seen_before(checker, seen, (uint32_t)(cid - checker->config->cids), id->id, id->length,
			&first) &&
	    !is_same_machine(checker->config, pool, server, (uint32_t)(first >> 32),
			     (uint32_t)first))
		config_error(checker->findings,
			     PATH_AT("pools[%u].servers[%u].server_ids[%u].id", pool, server, i),
			     "%s of config %u is pools[%u].servers[%u]'s already",
			     config_hex_text(id->id, id->length, hex), id->config,
			     (uint32_t)(first >> 32), (uint32_t)first);
}

static void expect_server_ids(const struct checker *checker, const struct index *seen,
			      const struct config_server *server)
{
	for (uint32_t i = 0; i < server->n_ids; i++) {
		const struct config_server_id *id = &server->ids[i];

		if (id->config < LB_CONFIG_IDS && checker->cids[id->config])
			index_expect(seen,
				     (uint32_t)(checker->cids[id->config] - checker->config->cids),
				     id->id, id->length);
	}
}

static void check_servers(struct checker *checker, struct index *seen_ids, uint32_t pool)
{
	const struct config_pool *in = &checker->config->pools[pool];
	struct index names = {}, addresses = {};
	uint64_t first;
	uint32_t i, k;

	config_find_cids(checker->config, pool, checker->cids);
	index_make_room(&names, in->n_servers);
	index_make_room(&addresses, in->n_servers);
	for (i = 0; i < in->n_servers; i++) {
		const struct config_server *server = &in->servers[i];

		if (i + 1 < in->n_servers)
			expect_server_ids(checker, seen_ids, server + 1);
		first = i;
		if (name_seen(checker, &names, server->name, &first))
			config_error(checker->findings,
				     PATH_AT("pools[%u].servers[%u].name", pool, i),
				     "%s is pools[%u].servers[%u] already", server->name, pool,
				     (uint32_t)first);
		first = i;
		if (server->address.family &&
		    address_seen(checker, &addresses, 0, &server->address, &first))
			config_error(checker->findings,
				     PATH_AT("pools[%u].servers[%u].address", pool, i),
				     "is the address of pools[%u].servers[%u] already", pool,
				     (uint32_t)first);
		for (k = 0; k < server->n_ids; k++)
			check_server_id(checker, seen_ids, pool, i, k);
	}
	index_free(&names);
	index_free(&addresses);
}

static void check_pools(struct checker *checker)
{
	const struct config *config = checker->config;
	struct index names = {}, seen_ids = {};
	uint64_t first;
	uint32_t i;

	index_make_room(&seen_ids, config_needs(config).server_ids);
	for (i = 0; i < config->n_pools; i++) {
		const struct config_pool *pool = &config->pools[i];

		first = i;
		if (name_seen(checker, &names, pool->name, &first))
			config_error(checker->findings, PATH_AT("pools[%u].name", i),
				     "%s is pools[%u] already", pool->name, (uint32_t)first);
		check_servers(checker, &seen_ids, i);
	}
	index_free(&names);
	index_free(&seen_ids);
}

static void check_vips(struct checker *checker)
{
	const struct config *config = checker->config;
	struct index names = {}, places = {};
	uint64_t first;
	uint32_t i;

	for (i = 0; i < config->n_vips; i++) {
		const struct config_vip *vip = &config->vips[i];

		first = i;
		if (name_seen(checker, &names, vip->name, &first))
			config_error(checker->findings, PATH_AT("vips[%u].name", i),
				     "%s is vips[%u] already", vip->name, (uint32_t)first);
		if (!vip->address.family || !vip->port)
			continue;
		first = i;
		if (address_seen(checker, &places, vip->port, &vip->address, &first))
			config_error(checker->findings, PATH_AT("vips[%u].address", i),
				     "with its port it is vips[%u] already", (uint32_t)first);
	}
	index_free(&names);
	index_free(&places);
}

static void check_limit(struct checker *checker, const char *name, const char *where,
			uint32_t limit, uint32_t needed, uint32_t max)
{
	if (needed > max)
		config_error(checker->findings, where, "%u %s; %u is the most", needed, name, max);
	else if (needed > limit)
		config_error(checker->findings, PATH_AT("limits.%s", name),
			     "is %u, but the file has %u", limit, needed);
}

static void check_limits(struct checker *checker)
{
	const struct config_limits *limits = &checker->config->limits;
	struct config_limits needs = config_needs(checker->config);

	check_limit(checker, "servers", "pools", limits->servers, needs.servers, LB_MAX_SERVERS);
	check_limit(checker, "server_ids", "pools", limits->server_ids, needs.server_ids,
		    CONFIG_MAX_SERVER_IDS);
	check_limit(checker, "vips", "vips", limits->vips, needs.vips, LB_MAX_VIPS);
	check_limit(checker, "pools", "pools", limits->pools, needs.pools, LB_MAX_POOLS);
}

int config_check(const struct config *config, struct config_findings *findings)
{
	struct checker checker = { .config = config, .findings = findings };
	int err;

	check_interfaces(&checker);
	check_cids(&checker);
	check_pools(&checker);
	check_vips(&checker);
	check_limits(&checker);
	if (checker.no_memory)
		return -ENOMEM;
	err = config_check_ways(config, findings);
	return err ? err : config_check_nat(config, findings);
}
