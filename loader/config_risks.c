/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a valid configuration is warned about. Pure.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "config_internal.h"
#include "index.h"

#define ROWS_A_SERVER 100
/* A random connection ID that is routable goes to one server for no reason: more often is too often. */
#define ODDS_MAX (1.0 / 1000)

static bool is_for(const struct config_cid *cid, uint32_t pool)
{
	return cid->pool == CONFIG_NO_POOL || cid->pool == pool;
}

static bool is_active_for(const struct config_cid *cid, uint32_t pool)
{
	return cid->state == CONFIG_ACTIVE && is_for(cid, pool);
}

static bool has_active_id(const struct config_cid *const *cids, const struct config_server *server)
{
	for (uint32_t i = 0; i < server->n_ids; i++)
		if (cids[server->ids[i].config]->state == CONFIG_ACTIVE)
			return true;
	return false;
}

static void warn_servers_of(const struct config *config, uint32_t pool,
			    struct config_findings *findings)
{
	const struct config_pool *in = &config->pools[pool];
	const struct config_cid *cids[LB_CONFIG_IDS];

	config_find_cids(config, pool, cids);
	for (uint32_t k = 0; k < in->n_servers; k++)
		if (!has_active_id(cids, &in->servers[k]))
			config_warn(findings, PATH_AT("pools[%u].servers[%u].server_ids", pool, k),
				    "%s has no id in an active config: its connections "
				    "are lost when their address changes",
				    in->servers[k].name);
}

static void warn_servers_without_id(const struct config *config, struct config_findings *findings)
{
	bool active = false;
	uint32_t i, k;

	for (i = 0; i < config->n_cids; i++)
		active |= config->cids[i].state == CONFIG_ACTIVE;
	if (config->n_cids && !active)
		config_warn(findings, "cid_configs",
			    "none is active: servers have nothing to make connection IDs with");
	for (i = 0; i < config->n_pools; i++) {
		for (k = 0; k < config->n_cids && !is_active_for(&config->cids[k], i); k++)
			;
		if (k < config->n_cids)
			warn_servers_of(config, i, findings);
	}
}

/* ids: how many server ids each config has in this pool, by config id. */
static void count_ids(const struct config_pool *pool, uint32_t *ids)
{
	uint32_t i, k;

	for (i = 0; i < pool->n_servers; i++)
		for (k = 0; k < pool->servers[i].n_ids; k++)
			ids[pool->servers[i].ids[k].config]++;
}

/*
 * One in eight random first octets names a given config, one in 2^(8 S) bodies a given server id.
 * Only the server ids of the VIP's own pool count.
 */
double config_random_odds(const struct config *config, uint32_t pool)
{
	uint32_t ids[LB_CONFIG_IDS] = {};
	double odds = 0;

	count_ids(&config->pools[pool], ids);
	for (uint32_t id = 0; id < LB_CONFIG_IDS; id++)
		if (ids[id])
			odds += ldexp(ids[id],
				      -8 * config_find_cid(config, pool, id)->server_id_length) /
				8;
	return odds;
}

static void warn_dense_ids(const struct config *config, struct config_findings *findings)
{
	for (uint32_t i = 0; i < config->n_pools; i++) {
		double odds = config_random_odds(config, i);

		if (odds > ODDS_MAX)
			config_warn(findings, PATH_AT("pools[%u]", i),
				    "1 in %.0f random connection IDs is routable: longer server "
				    "ids make it fewer",
				    1 / odds);
	}
}

/* During a rotation the older config is retiring, so that every server knows which one to use. */
static void warn_several_active(const struct config *config, struct config_findings *findings)
{
	for (uint32_t i = 0; i < config->n_pools; i++) {
		uint32_t ids[LB_CONFIG_IDS] = {}, n = 0;
		char list[4 * LB_CONFIG_IDS] = "";

		count_ids(&config->pools[i], ids);
		for (uint32_t id = 0; id < LB_CONFIG_IDS; id++)
			if (ids[id] && config_find_cid(config, i, id)->state == CONFIG_ACTIVE)
				snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%u",
					 n++ ? ", " : "", id);
		if (n > 1)
			config_warn(findings, PATH_AT("pools[%u]", i),
				    "its servers have ids in %u active configs (%s): they should "
				    "issue by the newest alone, let the others be retiring",
				    n, list);
	}
}

static bool has_server(const struct config *config, const struct config_cid *cid)
{
	for (uint32_t i = 0; i < config->n_pools; i++) {
		uint32_t ids[LB_CONFIG_IDS] = {};

		if (!is_for(cid, i))
			continue;
		count_ids(&config->pools[i], ids);
		if (ids[cid->id])
			return true;
	}
	return false;
}

static void warn_empty_configs(const struct config *config, struct config_findings *findings)
{
	for (uint32_t i = 0; i < config->n_cids; i++)
		if (!has_server(config, &config->cids[i]))
			config_warn(findings, PATH_AT("cid_configs[%u]", i),
				    "no server has an id in config %u", config->cids[i].id);
}

/* n-bit random nonces repeat after about 2^(n/2), a counter after 2^n (draft section 9.6). */
static void warn_short_nonces(const struct config *config, struct config_findings *findings)
{
	for (uint32_t i = 0; i < config->n_cids; i++) {
		const struct config_cid *cid = &config->cids[i];
		double random = ldexp(1, 4 * cid->nonce_length);

		if (cid->nonce_length > LB_NONCE_MIN || cid->state != CONFIG_ACTIVE)
			continue;
		if (cid->keyed)
			config_warn(findings, PATH_AT("cid_configs[%u].nonce_length", i),
				    "of %u octets: a random nonce is likely to repeat after %.0f "
				    "connection IDs of a server id, a counter lasts for %.0f",
				    cid->nonce_length, random, random * random);
		else
			config_warn(
				findings, PATH_AT("cid_configs[%u].nonce_length", i),
				"of %u octets: a nonce, random where there is no key, is likely "
				"to repeat after %.0f connection IDs of a server id",
				cid->nonce_length, random);
	}
}

/* Notes the pool's server ids in clear, each once. */
static void note_clear_ids(const struct config *config, uint32_t pool, struct index *clear)
{
	const struct config_cid *cids[LB_CONFIG_IDS];

	config_find_cids(config, pool, cids);
	for (uint32_t k = 0; k < config->pools[pool].n_servers; k++) {
		const struct config_server *server = &config->pools[pool].servers[k];

		for (uint32_t i = 0; i < server->n_ids; i++) {
			const struct config_server_id *id = &server->ids[i];
			uint64_t number = 0;

			if (!cids[id->config]->keyed)
				index_note(clear, 0, id->id, id->length, &number);
		}
	}
}

/* Counts those of configs with a key that are among them. */
static uint32_t count_shared_ids(const struct config *config, uint32_t pool,
				 const struct index *clear, const struct config_server_id **first)
{
	const struct config_cid *cids[LB_CONFIG_IDS];
	uint32_t shared = 0;

	config_find_cids(config, pool, cids);
	for (uint32_t k = 0; k < config->pools[pool].n_servers; k++) {
		const struct config_server *server = &config->pools[pool].servers[k];

		for (uint32_t i = 0; i < server->n_ids; i++) {
			const struct config_server_id *id = &server->ids[i];
			uint64_t number;

			if (cids[id->config]->keyed &&
			    index_find(clear, 0, id->id, id->length, &number) && !shared++)
				*first = id;
		}
	}
	return shared;
}

/* Known pairs of clear and enciphered server id weaken the four passes (draft section 9.7). */
static void warn_shared_ids(const struct config *config, struct config_findings *findings)
{
	const struct config_server_id *first;
	char hex[2 * LB_SERVER_ID_MAX + 1];

	for (uint32_t i = 0; i < config->n_pools; i++) {
		struct index clear = {};
		uint32_t shared;

		note_clear_ids(config, i, &clear);
		shared = count_shared_ids(config, i, &clear, &first);
		if (shared)
			config_warn(
				findings, PATH_AT("pools[%u]", i),
				"%u server id%s (%s) both encrypted and in clear: who reads the "
				"clear ones learns about the encrypted ones",
				shared, shared == 1 ? " is" : "s are",
				config_hex_text(first->id, first->length, hex));
		index_free(&clear);
	}
}

static void warn_few_rows(const struct config *config, struct config_findings *findings)
{
	uint32_t most = 0, i;

	for (i = 0; i < config->n_pools; i++)
		if (config->pools[i].n_servers > config->pools[most].n_servers)
			most = i;
	if (config->n_pools && config->rows < ROWS_A_SERVER * config->pools[most].n_servers)
		config_warn(findings, "fallback.rows",
			    "%u rows are fewer than %u for each of the %u servers of pool %s: "
			    "their shares will be uneven",
			    config->rows, ROWS_A_SERVER, config->pools[most].n_servers,
			    config->pools[most].name);
}

static bool is_used(const struct config *config, uint32_t pool)
{
	uint32_t i;

	for (i = 0; i < config->n_vips; i++)
		if (config->vips[i].pool == pool)
			return true;
	return false;
}

static void warn_unused(const struct config *config, struct config_findings *findings)
{
	uint32_t i;

	if (!config->n_vips) {
		config_warn(findings, "vips", "there is none: every packet is left to the host");
		return;
	}
	for (i = 0; i < config->n_pools; i++)
		if (!is_used(config, i))
			config_warn(findings, PATH_AT("pools[%u]", i), "no VIP uses pool %s",
				    config->pools[i].name);
}

/* A kernel takes no IPv4 packet from an address of its own (accept_local), and servers have the VIPs. */
static void warn_source_is_vip(const struct config *config, struct config_findings *findings)
{
	for (uint32_t i = 0; i < config->n_vips; i++)
		if (config_address_equal(&config->vips[i].address, &config->source_v4)) {
			config_warn(findings, "forwarding.source_v4",
				    "is the address of vips[%u], which the servers have, too: "
				    "tunnel devices there drop what comes from it",
				    i);
			return;
		}
}

/* A socket for GUE has its port on every address of the server, so on the VIP as well. */
static void warn_gue_port(const struct config *config, struct config_findings *findings)
{
	for (uint32_t i = 0; i < config->n_vips; i++) {
		const struct config_pool *pool = &config->pools[config->vips[i].pool];

		for (uint32_t k = 0; k < pool->n_servers; k++)
			if (pool->servers[k].mode == CONFIG_MODE_GUE &&
			    config->vips[i].port == config->gue_port) {
				config_warn(findings, PATH_AT("vips[%u].port", i),
					    "is forwarding.gue_port: a kernel that takes GUE there "
					    "takes the clients' packets for it");
				break;
			}
	}
}

void config_check_risks(const struct config *config, struct config_findings *findings)
{
	warn_servers_without_id(config, findings);
	warn_empty_configs(config, findings);
	warn_dense_ids(config, findings);
	warn_several_active(config, findings);
	warn_short_nonces(config, findings);
	warn_shared_ids(config, findings);
	warn_source_is_vip(config, findings);
	warn_gue_port(config, findings);
	warn_few_rows(config, findings);
	warn_unused(config, findings);
}
