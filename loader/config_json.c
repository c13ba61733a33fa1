/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A configuration as JSON: the file's own keys, everything written out, and of each key its fingerprint.
 */
#include <stdio.h>

#include "config_internal.h"
#include "keys.h"

static const char *tier_text(enum tier tier)
{
	switch (tier) {
	case TIER_OFFLOAD:
		return "offload";
	case TIER_DRIVER:
		return "driver";
	case TIER_GENERIC:
		return "generic";
	case TIER_USERSPACE:
		return "userspace";
	default:
		return NULL;
	}
}

const char *config_mode_text(enum config_mode mode)
{
	switch (mode) {
	case CONFIG_MODE_L2DSR:
		return "l2dsr";
	case CONFIG_MODE_GUE:
		return "gue";
	case CONFIG_MODE_NAT:
		return "nat";
	default:
		return "ipip";
	}
}

static json_t *interface_json(const struct config_interface *interface)
{
	const char *tier = tier_text(interface->tier);

	return json_pack("{s:s, s:s, s:s?, s:s}", "name", interface->name, "tier",
			 tier ? tier : "auto", "require", tier_text(interface->require), "sharing",
			 interface->exclusive ? "exclusive" : "dispatcher");
}

const char *config_key_text(const struct config_cid *cid, char *buffer)
{
	if (!cid->keyed)
		return NULL;
	snprintf(buffer, CONFIG_KEY_TEXT, KEYS_FINGERPRINT_NAME "%s", cid->fingerprint);
	return buffer;
}

static json_t *cid_json(const struct config *config, const struct config_cid *cid)
{
	const char *pool = cid->pool == CONFIG_NO_POOL ? NULL : config->pools[cid->pool].name;
	char key[CONFIG_KEY_TEXT];

	return json_pack("{s:i, s:s?, s:i, s:i, s:s, s:s, s:s, s:s?, s:s?}", "id", cid->id, "pool",
			 pool, "server_id_length", cid->server_id_length, "nonce_length",
			 cid->nonce_length, "state",
			 cid->state == CONFIG_ACTIVE ? "active" : "retiring", "length_check",
			 config_length_check(cid), "algorithm", config_algorithm(cid), "key_file",
			 *cid->key_file ? cid->key_file : NULL, "key", config_key_text(cid, key));
}

/* 0: not given. */
static json_t *number_json(uint32_t number)
{
	return number ? json_integer(number) : json_null();
}

static json_t *server_json(const struct config_server *server)
{
	char address[INET6_ADDRSTRLEN], hex[2 * LB_SERVER_ID_MAX + 1];
	json_t *ids = json_array();
	uint32_t i;

	for (i = 0; i < server->n_ids; i++) {
		config_hex_text(server->ids[i].id, server->ids[i].length, hex);
		json_array_append_new(ids, json_pack("{s:i, s:s}", "config", server->ids[i].config,
						     "id", hex));
	}
	return json_pack("{s:s, s:s, s:s, s:o, s:i, s:s, s:o}", "name", server->name, "address",
			 config_address_text(&server->address, address), "mode",
			 config_mode_text(server->mode), "port", number_json(server->port),
			 "weight", (int)server->weight, "state",
			 server->state == CONFIG_UP ? "up" : "drain", "server_ids", ids);
}

static json_t *pool_json(const struct config_pool *pool, const bool *skip)
{
	json_t *servers = json_array();
	uint32_t i;

	for (i = 0; i < pool->n_servers; i++)
		if (!skip || !skip[i])
			json_array_append_new(servers, server_json(&pool->servers[i]));
	return json_pack("{s:s, s:o}", "name", pool->name, "servers", servers);
}

static json_t *vip_json(const struct config *config, const struct config_vip *vip)
{
	char address[INET6_ADDRSTRLEN];

	return json_pack("{s:s, s:s, s:i, s:s}", "name", vip->name, "address",
			 config_address_text(&vip->address, address), "port", vip->port, "pool",
			 config->pools[vip->pool].name);
}

static json_t *address_json(const struct config_address *address)
{
	char text[INET6_ADDRSTRLEN];

	return address->family ? json_string(config_address_text(address, text)) : json_null();
}

static json_t *limits_json(const struct config_limits *limits)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "servers",
			 (json_int_t)limits->servers, "server_ids", (json_int_t)limits->server_ids,
			 "vips", (json_int_t)limits->vips, "pools", (json_int_t)limits->pools,
			 "known_cids", (json_int_t)limits->known_cids, "flows",
			 (json_int_t)limits->flows, "cached_cids", (json_int_t)limits->cached_cids);
}

static json_t *forwarding_json(const struct config *config)
{
	return json_pack("{s:s, s:o, s:o, s:i, s:o, s:o, s:I}", "mode",
			 config_mode_text(config->mode), "source_v4",
			 address_json(&config->source_v4), "source_v6",
			 address_json(&config->source_v6), "gue_port", config->gue_port,
			 "client_mtu", number_json(config->client_mtu), "server_mtu",
			 number_json(config->server_mtu), "icmp_answers",
			 (json_int_t)config->icmp_answers);
}

static json_t *tracking_json(const struct config_tracking *tracking)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "budget", (json_int_t)tracking->budget,
			 "vip_share", (json_int_t)tracking->vip_share, "handshake_timeout",
			 (json_int_t)tracking->handshake_timeout, "idle_timeout",
			 (json_int_t)tracking->idle_timeout);
}

json_t *config_to_json(const struct config *config)
{
	return config_part_json(config, NULL);
}

json_t *config_part_json(const struct config *config, const bool *skip)
{
	json_t *interfaces = json_array(), *cids = json_array();
	json_t *pools = json_array(), *vips = json_array();
	uint32_t i, first = 0;

	for (i = 0; i < config->n_interfaces; i++)
		json_array_append_new(interfaces, interface_json(&config->interfaces[i]));
	for (i = 0; i < config->n_cids; i++)
		json_array_append_new(cids, cid_json(config, &config->cids[i]));
	for (i = 0; i < config->n_pools; i++) {
		json_array_append_new(pools,
				      pool_json(&config->pools[i], skip ? skip + first : NULL));
		first += config->pools[i].n_servers;
	}
	for (i = 0; i < config->n_vips; i++)
		json_array_append_new(vips, vip_json(config, &config->vips[i]));
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:{s:i}, s:{s:i}, s:o, s:o, s:o}", "version", 1,
			 "interfaces", interfaces, "cid_configs", cids, "forwarding",
			 forwarding_json(config), "tracking", tracking_json(&config->tracking),
			 "rotation", "min_quiet", (int)config->min_quiet, "fallback", "rows",
			 (int)config->rows, "limits", limits_json(&config->limits), "pools", pools,
			 "vips", vips);
}
