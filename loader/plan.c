/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Builds the contents of one generation of the maps from a configuration.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/cipher.h"
#include "lb/csum.h"
#include "plan.h"

static uint32_t power_of_two(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power <<= 1;
	return power;
}

/*
 * Twice as many buckets as keys, so four slots a key, and never few: then cuckoo hashing finds a place
 * for every set of keys that the limits allow, but for one in a great many.
 */
static uint32_t buckets(uint32_t keys)
{
	return power_of_two(keys < 16 ? 32 : 2 * keys);
}

static uint32_t cache_pages(uint32_t cids)
{
	return cids ? power_of_two((cids + LB_CACHE_PAGE_CIDS - 1) / LB_CACHE_PAGE_CIDS) : 0;
}

struct plan_sizes plan_sizes(const struct config_limits *limits, uint32_t rows)
{
	return (struct plan_sizes){
		.vip_buckets = buckets(limits->vips),
		.sid_buckets = buckets(limits->server_ids),
		.rows = (limits->pools + 1) * rows,
		.servers = limits->servers + 1,
		.vips = limits->vips,
		.pools = limits->pools,
		.known_cids = limits->known_cids,
		/* A nat server has an entry for each VIP of its pool; more than one is rare. */
		.address_buckets = buckets(limits->servers + limits->vips),
		.flows = limits->flows,
		.cache_pages = cache_pages(limits->cached_cids),
	};
}

const struct config_server *plan_server(const struct config *config, uint32_t position,
					uint32_t *pool)
{
	for (uint32_t i = 0; i < config->n_pools; i++) {
		if (position < config->pools[i].n_servers) {
			if (pool)
				*pool = i;
			return &config->pools[i].servers[position];
		}
		position -= config->pools[i].n_servers;
	}
	return NULL;
}

uint32_t plan_count_servers(const struct config *config)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < config->n_pools; i++)
		n += config->pools[i].n_servers;
	return n;
}

static uint32_t count_ids(const struct config *config)
{
	uint32_t n_ids = 0;

	for (uint32_t pool = 0; pool < config->n_pools; pool++)
		for (uint32_t i = 0; i < config->pools[pool].n_servers; i++)
			n_ids += config->pools[pool].servers[i].n_ids;
	return n_ids;
}

struct plan_sizes plan_floor(const struct config *config)
{
	const struct config_limits needs = {
		.servers = plan_count_servers(config),
		.server_ids = count_ids(config),
		.vips = config->n_vips,
		.pools = config->n_pools,
		.known_cids = 1,
	};

	return plan_sizes(&needs, config->rows);
}

static int check_room(const struct config *config, const struct plan_sizes *sizes,
		      uint32_t n_servers, char *problem, size_t size)
{
	const struct config_limits *limits = &config->limits;
	const struct {
		const char *limit;
		uint32_t needs, has, allowed;
	} rooms[] = {
		{ "servers", n_servers, sizes->servers - 1, limits->servers },
		{ "server_ids", count_ids(config), sizes->sid_buckets / 2, limits->server_ids },
		{ "vips", config->n_vips, sizes->vips, limits->vips },
		{ "pools", config->n_pools, sizes->pools, limits->pools },
	};
	uint32_t n_rows = (config->n_pools + 1) * config->rows;

	/* A file that was checked has limits that suffice: the maps are older, or a card had no more. */
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		if (rooms[i].needs <= rooms[i].has)
			continue;
		snprintf(problem, size, "the file needs %u, the maps hold %u (limits.%s is %u)",
			 rooms[i].needs, rooms[i].has, rooms[i].limit, rooms[i].allowed);
		return -ENOSPC;
	}
	if (n_rows <= sizes->rows)
		return 0;
	snprintf(problem, size,
		 "the file needs %u rows, the maps hold %u: fewer fallback.rows or pools", n_rows,
		 sizes->rows);
	return -ENOSPC;
}

static int table_full(char *problem, size_t size, const char *limit)
{
	snprintf(problem, size, "a table is too full: raise limits.%s", limit);
	return -ENOSPC;
}

static int build_vips(struct plan *plan, char *problem, size_t size)
{
	for (uint32_t i = 0; i < plan->config->n_vips; i++) {
		const struct config_vip *vip = &plan->config->vips[i];
		uint32_t key[LB_KEY_WORDS] = {};
		int err;

		memcpy(key, vip->address.octets, sizeof(vip->address.octets));
		key[4] = LB_VIP_KEY(vip->address.family == AF_INET ? 4 : 6, htons(vip->port));
		err = table_insert(plan->vip_table, plan->sizes.vip_buckets, key,
				   LB_VIP_VALUE(plan->vip_number[i], plan->pool_number[vip->pool]));
		if (err)
			return table_full(problem, size, "vips");
	}
	return 0;
}

static int add_address(struct plan *plan, const struct config_address *address, uint32_t last,
		       uint32_t value)
{
	uint32_t key[LB_KEY_WORDS] = {};

	memcpy(key, address->octets, sizeof(address->octets));
	key[4] = last;
	return table_insert(plan->address_table, plan->sizes.address_buckets, key, value);
}

static uint32_t version_of(const struct config_address *address)
{
	return address->family == AF_INET ? 4 : 6;
}

static void build_vip_address(struct plan *plan, const struct config_vip *vip, uint32_t number)
{
	struct lb_vip *entry = &plan->vips[number];

	memcpy(entry->address, vip->address.octets, sizeof(entry->address));
	entry->port = htons(vip->port);
	entry->ip_version = version_of(&vip->address);
}

/* Where the answers of this VIP's nat servers come from. */
static int add_nat_servers(struct plan *plan, uint32_t i)
{
	const struct config_vip *vip = &plan->config->vips[i];
	uint32_t n = plan->n_servers, pool = 0;
	int err = 0;

	for (uint32_t position = 0; !err && position < n; position++) {
		const struct config_server *server = plan_server(plan->config, position, &pool);

		if (pool != vip->pool || server->mode != CONFIG_MODE_NAT ||
		    server->address.family != vip->address.family)
			continue;
		plan->has_nat = true;
		err = add_address(plan, &server->address,
				  LB_VIP_KEY(version_of(&vip->address),
					     htons(server->port ? server->port : vip->port)),
				  LB_NAT_VALUE(plan->vip_number[i], plan->server_number[position]));
	}
	return err;
}

/* Several VIPs may share an address, whose entry is the same for all. */
static bool is_first_of_address(const struct config *config, uint32_t i)
{
	for (uint32_t j = 0; j < i; j++)
		if (!memcmp(&config->vips[i].address, &config->vips[j].address,
			    sizeof(config->vips[i].address)))
			return false;
	return true;
}

static int build_addresses(struct plan *plan, char *problem, size_t size)
{
	int err = 0;

	if (!plan->sizes.address_buckets)
		return 0;
	for (uint32_t i = 0; !err && i < plan->config->n_vips; i++) {
		const struct config_vip *vip = &plan->config->vips[i];

		build_vip_address(plan, vip, plan->vip_number[i]);
		if (is_first_of_address(plan->config, i))
			err = add_address(plan, &vip->address,
					  LB_ADDRESS_KEY(version_of(&vip->address)), 1);
		if (!err)
			err = add_nat_servers(plan, i);
	}
	return err ? table_full(problem, size, "servers") : 0;
}

static void server_id_key(const struct plan *plan, uint32_t pool, const struct config_server_id *id,
			  uint32_t *key)
{
	memset(key, 0, LB_KEY_WORDS * sizeof(*key));
	memcpy(key, id->id, id->length);
	key[4] = LB_SID_KEY(plan->pool_number[pool], id->config);
}

static void expect_server_ids(const struct plan *plan, uint32_t pool, uint32_t i)
{
	const struct config_pool *in = &plan->config->pools[pool];
	uint32_t key[LB_KEY_WORDS];

	for (uint32_t j = 0; i < in->n_servers && j < in->servers[i].n_ids; j++) {
		server_id_key(plan, pool, &in->servers[i].ids[j], key);
		table_expect(plan->sid_table, plan->sizes.sid_buckets, key);
	}
}

static int add_server_ids(struct plan *plan, uint32_t pool, uint32_t i, uint32_t number)
{
	const struct config_server *server = &plan->config->pools[pool].servers[i];
	uint32_t key[LB_KEY_WORDS];
	int err = 0;

	for (uint32_t j = 0; !err && j < server->n_ids; j++) {
		server_id_key(plan, pool, &server->ids[j], key);
		err = table_insert(plan->sid_table, plan->sizes.sid_buckets, key, number);
	}
	return err;
}

static int build_server_ids(struct plan *plan, char *problem, size_t size)
{
	uint32_t position = 0;

	for (uint32_t pool = 0; pool < plan->config->n_pools; pool++)
		for (uint32_t i = 0; i < plan->config->pools[pool].n_servers; i++, position++) {
			expect_server_ids(plan, pool, i + 1);
			if (add_server_ids(plan, pool, i, plan->server_number[position]))
				return table_full(problem, size, "server_ids");
		}
	return 0;
}

static int build_pool_rows(struct plan *plan, uint32_t pool, uint32_t first)
{
	const struct config_pool *servers = &plan->config->pools[pool];
	const char **names = calloc(servers->n_servers + 1, sizeof(*names));
	uint32_t *weights = calloc(servers->n_servers + 1, sizeof(*weights));
	int err = -ENOMEM;

	if (names && weights) {
		for (uint32_t i = 0; i < servers->n_servers; i++) {
			const struct config_server *server = &servers->servers[i];

			names[i] = server->name;
			weights[i] = server->state == CONFIG_UP ? server->weight : 0;
		}
		err = rows_fill(plan->rows + (plan->pool_number[pool] << plan->row_shift),
				1u << plan->row_shift, servers->n_servers, names, weights,
				plan->server_number + first);
	}
	free(weights);
	free(names);
	return err;
}

static int build_rows(struct plan *plan)
{
	uint32_t first = 0;

	for (uint32_t pool = 0; pool < plan->config->n_pools; pool++) {
		int err = build_pool_rows(plan, pool, first);

		if (err)
			return err;
		first += plan->config->pools[pool].n_servers;
	}
	return 0;
}

static void build_nat(const struct config_server *server, struct lb_server *entry)
{
	uint32_t sum = 0;

	entry->mode = server->address.family == AF_INET ? LB_MODE_NAT4 : LB_MODE_NAT6;
	entry->outer_length = LB_OUTER_NAT;
	entry->port = htons(server->port);
	memcpy(entry->destination, server->address.octets, sizeof(entry->destination));
	for (int i = 0; i < 4; i++)
		sum += lb_csum_word(entry->destination[i]);
	entry->checksum = lb_csum_fold(sum);
}

/* What the file says counts more than what the kernel knows: there may be a narrower link on the way. */
static uint16_t mtu_of(const struct config *config, const struct plan_hop *hop)
{
	uint32_t mtu = config->server_mtu ? config->server_mtu : hop->mtu;

	return mtu && mtu < UINT16_MAX ? mtu : UINT16_MAX;
}

static void build_server(struct plan *plan, const struct config_server *server,
			 const struct plan_hop *hop, struct lb_server *entry)
{
	const struct config_address *source;
	bool v4 = server->address.family == AF_INET;
	uint32_t sum = 0;

	memcpy(entry->destination_mac, hop->destination_mac, 6);
	memcpy(entry->source_mac, hop->source_mac, 6);
	entry->egress = hop->egress;
	entry->mtu = mtu_of(plan->config, hop);
	if (server->mode == CONFIG_MODE_L2DSR) {
		entry->mode = LB_MODE_L2DSR;
		return;
	}
	if (server->mode == CONFIG_MODE_NAT) {
		build_nat(server, entry);
		return;
	}
	source = v4 ? &plan->config->source_v4 : &plan->config->source_v6;
	if (!source->family)
		source = &hop->source;
	entry->mode = v4 ? LB_MODE_IPIP4 : LB_MODE_IPIP6;
	entry->outer_length = v4 ? 20 : 40;
	if (server->mode == CONFIG_MODE_GUE) {
		entry->mode = v4 ? LB_MODE_GUE4 : LB_MODE_GUE6;
		entry->outer_length += LB_GUE_LENGTH;
		entry->port = htons(plan->config->gue_port);
	}
	memcpy(entry->destination, server->address.octets, sizeof(entry->destination));
	memcpy(entry->source, source->octets, sizeof(entry->source));
	for (int i = 0; i < 4; i++)
		sum += lb_csum_word(entry->source[i]) + lb_csum_word(entry->destination[i]);
	if (v4)
		entry->checksum = lb_csum_fold(sum + LB_CONST16(LB_IPV4_DF));
	else if (server->mode == CONFIG_MODE_GUE)
		entry->checksum = lb_csum_fold(sum + LB_CONST16(IPPROTO_UDP) + entry->port);
}

/*
 * A card transmits where packets come in, and has room for neither GUE nor NAT: what leaves by another port
 * or so it passes to the host, unset.
 */
static bool reaches(const struct plan *plan, const struct config_server *server,
		    const struct plan_hop *hop)
{
	bool is_card = plan->sizes.known_cids;

	return hop->resolved && !(is_card && (hop->egress || server->mode == CONFIG_MODE_GUE ||
					      server->mode == CONFIG_MODE_NAT));
}

static void build_servers(struct plan *plan, const struct plan_hop *hops)
{
	for (uint32_t i = 0; hops && i < plan->n_servers; i++) {
		const struct config_server *server = plan_server(plan->config, i, NULL);

		if (reaches(plan, server, &hops[i]))
			build_server(plan, server, &hops[i],
				     &plan->servers[plan->server_number[i]]);
	}
}

static int allocate(struct plan *plan)
{
	const struct plan_sizes *sizes = &plan->sizes;

	while ((1u << plan->row_shift) < plan->config->rows)
		plan->row_shift++;
	plan->server_number = calloc(plan->n_servers + 1, sizeof(*plan->server_number));
	plan->vip_number = calloc(plan->config->n_vips + 1, sizeof(*plan->vip_number));
	plan->pool_number = calloc(plan->config->n_pools + 1, sizeof(*plan->pool_number));
	plan->vip_table = calloc(sizes->vip_buckets, sizeof(*plan->vip_table));
	plan->sid_table = calloc(sizes->sid_buckets, sizeof(*plan->sid_table));
	plan->rows = calloc(sizes->rows, sizeof(*plan->rows));
	plan->servers = calloc(sizes->servers, sizeof(*plan->servers));
	/* A card has no maps for these two. */
	plan->address_table = calloc(sizes->address_buckets, sizeof(*plan->address_table));
	plan->vips = calloc(sizes->vips + 1, sizeof(*plan->vips));
	plan->n_cids = LB_CID_INDEX(sizes->pools + 1, 0);
	plan->cids = calloc(plan->n_cids, sizeof(*plan->cids));
	plan->keys = calloc(plan->n_cids, sizeof(*plan->keys));
	return plan->server_number && plan->vip_number && plan->pool_number && plan->vip_table &&
			       plan->sid_table && plan->rows && plan->servers && plan->cids &&
			       plan->keys && plan->address_table && plan->vips ?
		       0 :
		       -ENOMEM;
}

int plan_build(const struct config *config, const struct plan_sizes *sizes,
	       const struct plan_hop *hops, const struct plan_numbers *before, struct plan **result,
	       char *problem, size_t problem_size)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	int err;

	problem[0] = '\0';
	if (!plan)
		return -ENOMEM;
	plan->config = config;
	plan->sizes = *sizes;
	plan->n_servers = plan_count_servers(config);
	err = check_room(config, sizes, plan->n_servers, problem, problem_size);
	if (!err)
		err = allocate(plan);
	if (!err)
		err = plan_number_all(plan, before);
	if (!err)
		err = build_vips(plan, problem, problem_size);
	if (!err)
		err = build_addresses(plan, problem, problem_size);
	if (!err)
		err = build_server_ids(plan, problem, problem_size);
	if (!err)
		err = build_rows(plan);
	if (err) {
		plan_free(plan);
		return err;
	}
	plan_build_cids(plan);
	build_servers(plan, hops);
	plan->ingress_mtu = hops && plan->n_servers ? hops->ingress_mtu : 0;
	*result = plan;
	return 0;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	if (plan->keys)
		explicit_bzero(plan->keys, plan->n_cids * sizeof(*plan->keys));
	free(plan->keys);
	free(plan->cids);
	free(plan->vips);
	free(plan->address_table);
	free(plan->servers);
	free(plan->rows);
	free(plan->sid_table);
	free(plan->vip_table);
	free(plan->pool_number);
	free(plan->vip_number);
	free(plan->server_number);
	free(plan);
}
