/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a valid configuration is warned about. Pure.
 */
#include <math.h>

#include "config_internal.h"

#define ROWS_A_SERVER 100
/* A random connection ID that is routable goes to one server for no reason: more often is too often. */
#define ODDS_MAX (1.0 / 1000)

static const struct config_cid *find_cid(const struct config *config, uint8_t id)
{
	uint32_t i;

	for (i = 0; config->cids[i].id != id; i++)
		;
	return &config->cids[i];
}

static bool has_active_id(const struct config *config, const struct config_server *server)
{
	uint32_t i;

	for (i = 0; i < server->n_ids; i++)
		if (find_cid(config, server->ids[i].config)->state == CONFIG_ACTIVE)
			return true;
	return false;
}

static void warn_servers_without_id(const struct config *config, struct config_findings *findings)
{
	const struct config_pool *pool;
	bool active = false;
	uint32_t i, k;

	for (i = 0; i < config->n_cids; i++)
		active |= config->cids[i].state == CONFIG_ACTIVE;
	if (config->n_cids && !active)
		config_warn(findings, "cid_configs",
			    "none is active: servers have nothing to make connection IDs with");
	if (!active)
		return;
	for (i = 0; i < config->n_pools; i++) {
		pool = &config->pools[i];
		for (k = 0; k < pool->n_servers; k++)
			if (!has_active_id(config, &pool->servers[k]))
				config_warn(findings,
					    PATH_AT("pools[%u].servers[%u].server_ids", i, k),
					    "%s has no id in an active config: its connections "
					    "are lost when their address changes",
					    pool->servers[k].name);
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
static void warn_dense_ids(const struct config *config, struct config_findings *findings)
{
	const struct config_cid *cid;
	uint32_t i, k;

	for (i = 0; i < config->n_pools; i++) {
		uint32_t ids[LB_CONFIG_IDS] = {};
		double odds = 0;

		count_ids(&config->pools[i], ids);
		for (k = 0; k < config->n_cids; k++) {
			cid = &config->cids[k];
			odds += ldexp(ids[cid->id], -8 * cid->server_id_length) / 8;
		}
		if (odds > ODDS_MAX)
			config_warn(findings, PATH_AT("pools[%u]", i),
				    "one in %.0f random connection IDs is routable: longer server "
				    "ids make it fewer",
				    1 / odds);
	}
}

static void warn_empty_configs(const struct config *config, struct config_findings *findings)
{
	uint32_t ids[LB_CONFIG_IDS] = {}, i;

	for (i = 0; i < config->n_pools; i++)
		count_ids(&config->pools[i], ids);
	for (i = 0; i < config->n_cids; i++)
		if (!ids[config->cids[i].id])
			config_warn(findings, PATH_AT("cid_configs[%u]", i),
				    "no server has an id in config %u", config->cids[i].id);
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

void config_check_risks(const struct config *config, struct config_findings *findings)
{
	warn_servers_without_id(config, findings);
	warn_empty_configs(config, findings);
	warn_dense_ids(config, findings);
	warn_few_rows(config, findings);
	warn_unused(config, findings);
}
