/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Takes connection IDs apart and puts them together.
 */
#include "cid.h"

#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lb/cid.h"

struct entry {
	uint32_t cid; /* index into cids: two pools may have two configs of one id */
	uint8_t id[LB_SERVER_ID_MAX + 1];
	const struct config_pool *pool;
	const struct config_server *server;
};

struct cid_index {
	const struct config *config;
	uint32_t pool;
	double *odds; /* by pool */
	uint32_t worst; /* the pool with the highest odds */
	size_t n;
	struct entry entries[];
};

static int compare_entries(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct config_server_id));
}

static size_t count_ids(const struct config *config)
{
	size_t n = 0;

	for (uint32_t i = 0; i < config->n_pools; i++)
		for (uint32_t k = 0; k < config->pools[i].n_servers; k++)
			n += config->pools[i].servers[k].n_ids;
	return n;
}

static void add_server(struct cid_index *index, uint32_t pool, const struct config_server *server)
{
	const struct config *config = index->config;

	for (uint32_t i = 0; i < server->n_ids; i++) {
		struct entry *entry = &index->entries[index->n++];

		entry->cid = config_find_cid(config, pool, server->ids[i].config) - config->cids;
		memcpy(entry->id, server->ids[i].id, server->ids[i].length);
		entry->pool = &config->pools[pool];
		entry->server = server;
	}
}

static void add_pool(struct cid_index *index, uint32_t pool)
{
	const struct config_pool *of = &index->config->pools[pool];

	for (uint32_t k = 0; k < of->n_servers; k++)
		add_server(index, pool, &of->servers[k]);
	index->odds[pool] = config_random_odds(index->config, pool);
	if (index->odds[pool] > index->odds[index->worst])
		index->worst = pool;
}

int cid_index_open(const struct config *config, uint32_t pool, struct cid_index **index)
{
	struct cid_index *made;

	made = calloc(1, sizeof(*made) + count_ids(config) * sizeof(made->entries[0]));
	*index = made;
	if (!made)
		return -ENOMEM;
	made->config = config;
	made->pool = pool;
	made->odds = calloc(config->n_pools + 1, sizeof(*made->odds));
	if (!made->odds) {
		cid_index_close(made);
		*index = NULL;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < config->n_pools; i++)
		add_pool(made, i);
	qsort(made->entries, made->n, sizeof(made->entries[0]), compare_entries);
	return 0;
}

void cid_index_close(struct cid_index *index)
{
	if (index)
		free(index->odds);
	free(index);
}

/* Octets from `from` on, at most n of them. */
static struct cid_part part(const uint8_t *octets, size_t length, size_t from, size_t n)
{
	if (from >= length)
		return (struct cid_part){};
	return (struct cid_part){ octets + from, n < length - from ? n : length - from };
}

static void find_server(const struct cid_index *index, struct cid_explained *explained,
			const uint32_t *words)
{
	struct entry key = { .cid = explained->config - index->config->cids };
	const struct entry *found;

	memcpy(key.id, words, explained->config->server_id_length);
	found = bsearch(&key, index->entries, index->n, sizeof(key), compare_entries);
	if (!found ||
	    (index->pool != CONFIG_NO_POOL && found->pool != &index->config->pools[index->pool])) {
		explained->reason = LB_REASON_hash_unknown_server_id;
		return;
	}
	explained->pool = found->pool;
	explained->server = found->server;
}

static void set_odds(const struct cid_index *index, struct cid_explained *explained)
{
	const struct config_pool *pools = index->config->pools;
	uint32_t pool = explained->pool		      ? (uint32_t)(explained->pool - pools) :
			index->pool != CONFIG_NO_POOL ? index->pool :
							index->worst;

	if (!index->config->n_pools)
		return;
	explained->odds = index->odds[pool];
	explained->odds_pool = &pools[pool];
}

/* By the first octet. Without a pool it must be the only one of its id. */
static const struct config_cid *choose_config(const struct cid_index *index, uint32_t id,
					      bool *needs_pool)
{
	const struct config *config = index->config;
	const struct config_cid *found = NULL;

	if (index->pool != CONFIG_NO_POOL)
		return config_find_cid(config, index->pool, id);
	for (uint32_t i = 0; i < config->n_cids; i++) {
		if (config->cids[i].id != id)
			continue;
		*needs_pool |= found != NULL;
		found = &config->cids[i];
	}
	return *needs_pool ? NULL : found;
}

/* The parts as they are in clear. */
static void take_apart(struct cid_explained *explained, const uint8_t *octets, size_t n)
{
	const struct config_cid *config = explained->config;
	size_t body = config->server_id_length + config->nonce_length;
	size_t there = n - 1 < body ? n - 1 : body;
	struct lb_aes_key key;

	explained->extra = part(octets, n, 1 + body, n);
	if (config->keyed && there < body)
		return;
	memcpy(explained->body, octets + 1, there);
	if (config->keyed) {
		lb_aes_expand(config->key, &key);
		lb_cid_decrypt_octets(&key, explained->body, body);
		explicit_bzero(&key, sizeof(key));
	}
	explained->server_id = part(explained->body, there, 0, config->server_id_length);
	explained->nonce =
		part(explained->body, there, config->server_id_length, config->nonce_length);
}

/* The order of checks is lb_route_by_cid()'s, and what decides is the data path's own decoding. */
static void route(const struct cid_index *index, const uint8_t *octets, size_t n,
		  struct cid_explained *explained)
{
	uint8_t packet[LB_CID_LEAD + CID_MAX_OCTETS] = {};
	struct lb_dcid dcid = { .octets = packet + LB_CID_LEAD - 1, .length = n, .is_long = 1 };
	struct lb_cid_config config;
	struct lb_cid_key key;
	uint32_t words[4];

	plan_cid(explained->config, &config, &key);
	memcpy(packet + LB_CID_LEAD - 1, octets, n);
	explained->reason = lb_cid_check(&config, &dcid);
	if (explained->reason == LB_REASON_cid)
		explained->reason = lb_cid_server_id(&config, &key, dcid.octets,
						     dcid.octets + dcid.length, words);
	explicit_bzero(&key, sizeof(key));
	if (explained->reason == LB_REASON_cid)
		find_server(index, explained, words);
}

void cid_explain(const struct cid_index *index, const uint8_t *octets, size_t n,
		 struct cid_explained *explained)
{
	uint32_t id;

	memset(explained, 0, sizeof(*explained));
	set_odds(index, explained);
	explained->reason = LB_REASON_hash_no_dcid;
	if (!n)
		return;
	id = lb_cid_config_id(octets[0]);
	explained->reason = LB_REASON_hash_reserved_config;
	if (id == LB_CONFIG_RESERVED)
		return;
	explained->reason = LB_REASON_hash_unknown_config;
	explained->config = choose_config(index, id, &explained->needs_pool);
	if (!explained->config)
		return;
	take_apart(explained, octets, n);
	route(index, octets, n, explained);
	set_odds(index, explained);
}

static int random_octets(uint8_t *octets, size_t n)
{
	ssize_t got = getrandom(octets, n, 0);

	if (got < 0)
		return -errno;
	return (size_t)got == n ? 0 : -EAGAIN;
}

static void encrypt(const struct config_cid *config, uint8_t *body)
{
	struct lb_aes_key key;

	lb_aes_expand(config->key, &key);
	lb_cid_encrypt(&key, body, config->server_id_length + config->nonce_length);
	explicit_bzero(&key, sizeof(key));
}

int cid_make(const struct cid_request *request, uint8_t *octets, uint8_t *nonce)
{
	size_t server_id = request->config->server_id_length;
	size_t nonce_length = request->config->nonce_length;
	size_t n = 1 + server_id + nonce_length + request->extra.n;
	int error;

	if (n > LB_CID_MAX)
		return -EMSGSIZE;
	error = random_octets(octets, n);
	if (error)
		return error;
	/* Draft section 3.3: how many octets follow, or bits that mean nothing. */
	octets[0] = request->config->id << 5 |
		    ((request->no_length ? octets[0] : (uint8_t)(n - 1)) & 0x1f);
	memcpy(octets + 1, request->server_id->id, server_id);
	if (request->nonce.n)
		memcpy(octets + 1 + server_id, request->nonce.octets, nonce_length);
	memcpy(nonce, octets + 1 + server_id, nonce_length);
	if (request->config->keyed)
		encrypt(request->config, octets + 1);
	if (request->extra.n)
		memcpy(octets + 1 + server_id + nonce_length, request->extra.octets,
		       request->extra.n);
	return n;
}

/* name: NAME or POOL/NAME. */
static bool is_meant(const struct config_pool *pool, const struct config_server *server,
		     const char *name)
{
	size_t length = strlen(pool->name);

	return !strcmp(server->name, name) ||
	       (!strncmp(pool->name, name, length) && name[length] == '/' &&
		!strcmp(server->name, name + length + 1));
}

int cid_find_server(const struct config *config, const char *name, struct cid_server *found,
		    char *problem, size_t size)
{
	found->server = NULL;
	for (uint32_t i = 0; i < config->n_pools; i++) {
		const struct config_pool *pool = &config->pools[i];

		for (uint32_t k = 0; k < pool->n_servers; k++) {
			if (!is_meant(pool, &pool->servers[k], name))
				continue;
			if (found->server) {
				snprintf(problem, size, "there are %s/%s and %s/%s",
					 found->pool->name, found->server->name, pool->name,
					 pool->servers[k].name);
				return -EINVAL;
			}
			*found = (struct cid_server){ pool, &pool->servers[k], i };
		}
	}
	if (!found->server)
		snprintf(problem, size, "there is no such server in the file");
	return found->server ? 0 : -EINVAL;
}

const struct config_server_id *cid_server_id(const struct config_server *server,
					     const struct config_cid *cid)
{
	for (uint32_t i = 0; i < server->n_ids; i++)
		if (server->ids[i].config == cid->id)
			return &server->ids[i];
	return NULL;
}
