/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Takes connection IDs apart and puts them together.
 */
#include "cid.h"

#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lb/cid.h"

struct entry {
	struct config_server_id id;
	const struct config_pool *pool;
	const struct config_server *server;
};

struct cid_index {
	const struct config *config;
	size_t n;
	struct entry entries[];
};

static int compare_entries(const void *a, const void *b)
{
	return memcmp(&((const struct entry *)a)->id, &((const struct entry *)b)->id,
		      sizeof(struct config_server_id));
}

static size_t count_ids(const struct config *config)
{
	size_t n = 0;

	for (uint32_t i = 0; i < config->n_pools; i++)
		for (uint32_t k = 0; k < config->pools[i].n_servers; k++)
			n += config->pools[i].servers[k].n_ids;
	return n;
}

static void add_server(struct cid_index *index, const struct config_pool *pool,
		       const struct config_server *server)
{
	for (uint32_t i = 0; i < server->n_ids; i++)
		index->entries[index->n++] = (struct entry){ server->ids[i], pool, server };
}

int cid_index_open(const struct config *config, struct cid_index **index)
{
	struct cid_index *made;

	made = calloc(1, sizeof(*made) + count_ids(config) * sizeof(made->entries[0]));
	*index = made;
	if (!made)
		return -ENOMEM;
	made->config = config;
	for (uint32_t i = 0; i < config->n_pools; i++)
		for (uint32_t k = 0; k < config->pools[i].n_servers; k++)
			add_server(made, &config->pools[i], &config->pools[i].servers[k]);
	qsort(made->entries, made->n, sizeof(made->entries[0]), compare_entries);
	return 0;
}

void cid_index_close(struct cid_index *index)
{
	free(index);
}

const struct config_cid *cid_config(const struct config *config, uint32_t id)
{
	for (uint32_t i = 0; i < config->n_cids; i++)
		if (config->cids[i].id == id)
			return &config->cids[i];
	return NULL;
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
	struct entry key = { .id = { .config = explained->config->id,
				     .length = explained->config->server_id_length } };
	const struct entry *found;

	memcpy(key.id.id, words, key.id.length);
	found = bsearch(&key, index->entries, index->n, sizeof(key), compare_entries);
	if (!found) {
		explained->reason = LB_REASON_hash_unknown_server_id;
		return;
	}
	explained->pool = found->pool;
	explained->server = found->server;
}

/* The order of checks is lb_route_by_cid()'s. */
void cid_explain(const struct cid_index *index, const uint8_t *octets, size_t n,
		 struct cid_explained *explained)
{
	uint8_t packet[LB_CID_LEAD + CID_MAX_OCTETS] = {};
	struct lb_dcid dcid = { .octets = packet + LB_CID_LEAD - 1, .length = n, .is_long = 1 };
	struct lb_cid_config config;
	struct lb_cid_key key;
	size_t server_id, body;
	uint32_t words[4], id;

	memset(explained, 0, sizeof(*explained));
	explained->reason = LB_REASON_hash_no_dcid;
	if (!n)
		return;
	id = lb_cid_config_id(octets[0]);
	explained->reason = LB_REASON_hash_reserved_config;
	if (id == LB_CONFIG_RESERVED)
		return;
	explained->reason = LB_REASON_hash_unknown_config;
	explained->config = cid_config(index->config, id);
	if (!explained->config)
		return;
	plan_cid(explained->config, &config, &key);
	server_id = config.server_id_length;
	body = server_id + config.nonce_length;
	explained->server_id = part(octets, n, 1, server_id);
	explained->nonce = part(octets, n, 1 + server_id, config.nonce_length);
	explained->extra = part(octets, n, 1 + body, n);
	memcpy(packet + LB_CID_LEAD - 1, octets, n);
	explained->reason = lb_cid_check(&config, &dcid);
	if (explained->reason == LB_REASON_cid)
		explained->reason =
			lb_cid_server_id(&config, &key, &dcid, dcid.octets + dcid.length, words);
	explicit_bzero(&key, sizeof(key));
	if (explained->reason == LB_REASON_cid)
		find_server(index, explained, words);
}

static int random_octets(uint8_t *octets, size_t n)
{
	ssize_t got = getrandom(octets, n, 0);

	if (got < 0)
		return -errno;
	return (size_t)got == n ? 0 : -EAGAIN;
}

int cid_make(const struct cid_request *request, uint8_t *octets)
{
	size_t server_id = request->config->server_id_length;
	size_t nonce = request->config->nonce_length;
	size_t n = 1 + server_id + nonce + request->extra.n;
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
		memcpy(octets + 1 + server_id, request->nonce.octets, nonce);
	if (request->extra.n)
		memcpy(octets + 1 + server_id + nonce, request->extra.octets, request->extra.n);
	return n;
}
