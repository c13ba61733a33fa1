/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A configuration as octets, without its keys: how it is kept with the maps, and held against another.
 *
 * What comes back was valid when it was written, so only what would lead out of an array is judged.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"
#include "config_pack.h"

static void fail(struct pack *pack)
{
	if (!pack->error)
		pack->error = -EINVAL;
}

static void pack_address(struct pack *pack, struct config_address *address)
{
	uint8_t length = address->family == AF_INET ? 4 : address->family ? 16 : 0;

	PACK_ENUM(pack, length, 17);
	if (!pack->error)
		pack_octets(pack, address->octets, length);
	if (pack->reads)
		address->family = length == 4 ? AF_INET : length ? AF_INET6 : 0;
}

static void pack_interface(struct pack *pack, struct config_interface *interface)
{
	pack_text(pack, interface->name, sizeof(interface->name));
	PACK_ENUM(pack, interface->tier, TIER_NONE + 1);
	PACK_ENUM(pack, interface->require, TIER_NONE + 1);
	PACK_ENUM(pack, interface->exclusive, 2);
}

static void pack_cid(struct pack *pack, const struct config *config, struct config_cid *cid)
{
	PACK_ENUM(pack, cid->id, LB_CONFIG_IDS);
	PACK_ENUM(pack, cid->server_id_length, LB_SERVER_ID_MAX + 1);
	PACK_ENUM(pack, cid->nonce_length, LB_NONCE_MAX + 1);
	PACK_ENUM(pack, cid->state, CONFIG_RETIRING + 1);
	PACK_ENUM(pack, cid->length_check, LB_LENGTH_EQUAL + 1);
	PACK(pack, cid->pool);
	if (cid->pool != CONFIG_NO_POOL && cid->pool >= config->n_pools)
		fail(pack);
	PACK_ENUM(pack, cid->keyed, 2);
	pack_text(pack, cid->key_file, sizeof(cid->key_file));
	pack_text(pack, cid->fingerprint, sizeof(cid->fingerprint));
}

static void pack_server_id(struct pack *pack, struct config_server_id *id)
{
	PACK_ENUM(pack, id->config, LB_CONFIG_IDS);
	PACK_ENUM(pack, id->length, LB_SERVER_ID_MAX + 1);
	if (!pack->error)
		pack_octets(pack, id->id, id->length);
}

static void pack_server(struct pack *pack, struct config_server *server)
{
	pack_text(pack, server->name, sizeof(server->name));
	pack_address(pack, &server->address);
	PACK_ENUM(pack, server->mode, CONFIG_MODE_NAT + 1);
	PACK(pack, server->port);
	PACK(pack, server->weight);
	PACK_ENUM(pack, server->state, CONFIG_DRAIN + 1);
	pack_list(pack, &server->n_ids, (void **)&server->ids, sizeof(*server->ids), 2);
	for (uint32_t i = 0; i < server->n_ids && !pack->error; i++)
		pack_server_id(pack, &server->ids[i]);
}

static void pack_pool(struct pack *pack, struct config_pool *pool)
{
	pack_text(pack, pool->name, sizeof(pool->name));
	pack_list(pack, &pool->n_servers, (void **)&pool->servers, sizeof(*pool->servers), 15);
	for (uint32_t i = 0; i < pool->n_servers && !pack->error; i++)
		pack_server(pack, &pool->servers[i]);
}

static void pack_vip(struct pack *pack, const struct config *config, struct config_vip *vip)
{
	pack_text(pack, vip->name, sizeof(vip->name));
	pack_address(pack, &vip->address);
	PACK(pack, vip->port);
	PACK(pack, vip->pool);
	if (vip->pool >= config->n_pools)
		fail(pack);
}

static void pack_values(struct pack *pack, struct config *config)
{
	PACK_ENUM(pack, config->mode, CONFIG_MODE_NAT + 1);
	pack_address(pack, &config->source_v4);
	pack_address(pack, &config->source_v6);
	PACK(pack, config->gue_port);
	PACK(pack, config->client_mtu);
	PACK(pack, config->server_mtu);
	PACK(pack, config->icmp_answers);
	PACK(pack, config->tracking);
	PACK(pack, config->min_quiet);
	PACK(pack, config->rows);
	PACK(pack, config->limits);
}

/* Every element takes an octet or more for each of its fields. */
static void pack_all(struct pack *pack, struct config *config)
{
	pack_values(pack, config);
	pack_list(pack, &config->n_interfaces, (void **)&config->interfaces,
		  sizeof(*config->interfaces), 5);
	for (uint32_t i = 0; i < config->n_interfaces && !pack->error; i++)
		pack_interface(pack, &config->interfaces[i]);
	pack_list(pack, &config->n_pools, (void **)&config->pools, sizeof(*config->pools), 6);
	for (uint32_t i = 0; i < config->n_pools && !pack->error; i++)
		pack_pool(pack, &config->pools[i]);
	pack_list(pack, &config->n_cids, (void **)&config->cids, sizeof(*config->cids), 14);
	for (uint32_t i = 0; i < config->n_cids && !pack->error; i++)
		pack_cid(pack, config, &config->cids[i]);
	pack_list(pack, &config->n_vips, (void **)&config->vips, sizeof(*config->vips), 9);
	for (uint32_t i = 0; i < config->n_vips && !pack->error; i++)
		pack_vip(pack, config, &config->vips[i]);
}

int config_pack(const struct config *config, struct pack *pack)
{
	/* What writes leaves it as it is. */
	pack_all(pack, (struct config *)config);
	return pack->error;
}

int config_unpack(struct pack *pack, struct config **config)
{
	struct config *found = calloc(1, sizeof(*found));

	*config = NULL;
	if (!found)
		return -ENOMEM;
	pack_all(pack, found);
	if (pack->error)
		config_free(found);
	else
		*config = found;
	return pack->error;
}

bool config_equal(const struct config *a, const struct config *b)
{
	struct pack one = {}, other = {};
	bool equal = !config_pack(a, &one) && !config_pack(b, &other) && one.octets &&
		     other.octets && one.n == other.n && !memcmp(one.octets, other.octets, one.n);

	pack_free(&one);
	pack_free(&other);
	return equal;
}
