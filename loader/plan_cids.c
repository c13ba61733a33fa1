/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The CID configs of a plan: what each pool's data path reads, keys, and the tags that tell one
 * meaning of a config from another.
 */
#include <string.h>

#include "lb/cid.h"
#include "lb/lookup3.h"
#include "plan.h"

void plan_cid(const struct config_cid *cid, struct lb_cid_config *entry, struct lb_cid_key *key)
{
	*entry = lb_cid_config_make(cid->server_id_length, cid->nonce_length, cid->keyed,
				    cid->length_check);
	memset(key, 0, sizeof(*key));
	if (cid->keyed)
		lb_cid_key_prepare(cid->key, cid->server_id_length, cid->nonce_length, key);
}

/* One server id of a config and what it stands for; added up, so that their order makes no difference. */
static uint32_t hash_server_id(const struct config_server_id *id, uint32_t server)
{
	uint32_t words[LB_CID_WORDS] = { 0 };

	memcpy(words, id->id, id->length);
	words[4] = server;
	return lb_lookup3(words, LB_CID_WORDS, id->length).first;
}

static uint32_t hash_server_ids(const struct plan *plan, uint32_t pool, uint32_t config_id)
{
	const struct config_server *server;
	uint32_t sum = 0, of;

	for (uint32_t i = 0; (server = plan_server(plan->config, i, &of)); i++)
		for (uint32_t j = 0; of == pool && j < server->n_ids; j++)
			if (server->ids[j].config == config_id)
				sum += hash_server_id(&server->ids[j], plan->server_number[i]);
	return sum;
}

/*
 * A function of what an encrypted CID means, so an apply that leaves a config as it is leaves a card
 * what it was told. The key goes in by what it makes of a block of zeros, which tells nothing of it.
 */
uint32_t plan_cid_tag(const struct plan *plan, const struct config_cid *cid, uint32_t pool)
{
	uint32_t index = LB_CID_INDEX(plan->pool_number[pool], cid->id);
	const struct lb_cid_config *entry = &plan->cids[index];
	struct lb_aes_block block = {};
	uint32_t words[8] = {
		index,
		(uint32_t)entry->algorithm << 16 | entry->server_id_length << 8 |
			entry->nonce_length,
		hash_server_ids(plan, pool, cid->id),
	};

	lb_aes_encrypt(&plan->keys[index].aes, &block);
	memcpy(words + 3, block.word, sizeof(block.word));
	return lb_lookup3(words, 7, LB_SEED_TAG).first;
}

static void build_cid(struct plan *plan, const struct config_cid *cid, uint32_t pool)
{
	uint32_t index = LB_CID_INDEX(plan->pool_number[pool], cid->id);
	struct lb_cid_config *entry = &plan->cids[index];

	plan_cid(cid, entry, &plan->keys[index]);
	if (cid->keyed)
		entry->tag = plan_cid_tag(plan, cid, pool);
}

void plan_build_cids(struct plan *plan)
{
	for (uint32_t i = 0; i < plan->config->n_cids; i++)
		for (uint32_t pool = 0; pool < plan->config->n_pools; pool++)
			if (plan->config->cids[i].pool == CONFIG_NO_POOL ||
			    plan->config->cids[i].pool == pool)
				build_cid(plan, &plan->config->cids[i], pool);
}
