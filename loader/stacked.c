/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The card's plan made again from what it runs, with keys out of the host tier's maps. See stacked.h.
 */
#include "stacked.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/cipher.h"

/* What one tier runs. */
struct side {
	const struct map_set *set;
	struct config *config;
	struct plan_numbers *numbers;
	uint32_t generation;
	struct lb_generation tables;
};

static int side_read(const struct map_set *set, struct side *side)
{
	struct reason ignored = {};
	int err = sync_tables(set, &side->tables);

	side->set = set;
	if (!err)
		err = sync_read(set, &side->config, &side->numbers, &side->generation, &ignored);
	return err ? err : side->config ? 0 : -ENOENT;
}

static void side_free(struct side *side)
{
	plan_numbers_free(side->numbers);
	config_free(side->config);
}

/* Every config in every pool that it is for and that both tiers have. */
static int pair_cids(const struct side *card, const struct side *host, struct stacked *stacked)
{
	const struct config *config = card->config;

	stacked->cids =
		calloc((size_t)config->n_cids * config->n_pools + 1, sizeof(*stacked->cids));
	if (!stacked->cids)
		return -ENOMEM;
	for (uint32_t i = 0; i < config->n_cids; i++)
		for (uint32_t pool = 0; pool < config->n_pools; pool++) {
			uint32_t here = plan_pool_number(config, card->numbers, pool);
			uint32_t there = plan_pool_number(config, host->numbers, pool);

			if (here && there &&
			    (config->cids[i].pool == CONFIG_NO_POOL ||
			     config->cids[i].pool == pool))
				stacked->cids[stacked->n++] = (struct stacked_cid){
					.card = LB_CID_INDEX(here, config->cids[i].id),
					.host = LB_CID_INDEX(there, config->cids[i].id),
				};
		}
	return 0;
}

static struct stacked_cid *by_card(const struct stacked *stacked, uint32_t index)
{
	for (uint32_t i = 0; i < stacked->n; i++)
		if (stacked->cids[i].card == index)
			return &stacked->cids[i];
	return NULL;
}

/*
 * The host's key in the card's plan. It is the one that the card's entries are made by if the tag comes
 * out as the card has it; else the card is told nothing by it.
 */
static void take_key(const struct side *card, const struct side *host, const struct config_cid *cid,
		     uint32_t pool, struct stacked *stacked)
{
	uint32_t index = LB_CID_INDEX(stacked->plan->pool_number[pool], cid->id);
	struct stacked_cid *pair = by_card(stacked, index);
	uint32_t here = card->tables.config_base + index;
	uint32_t there = host->tables.config_base + (pair ? pair->host : 0);
	struct lb_cid_config on_card, on_host;

	if (!pair || bpf_map_lookup_elem(host->set->cid_key, &there, &stacked->plan->keys[index]) ||
	    bpf_map_lookup_elem(host->set->cid_config, &there, &on_host) ||
	    bpf_map_lookup_elem(card->set->cid_config, &here, &on_card) || !on_card.tag ||
	    on_card.tag != plan_cid_tag(stacked->plan, cid, pool)) {
		stacked->plan->cids[index] = (struct lb_cid_config){};
		return;
	}
	stacked->plan->cids[index].tag = on_card.tag;
	pair->host_tag = on_host.tag;
	stacked->n_known += on_host.tag != 0;
}

static int make_plan(const struct side *card, const struct side *host, struct stacked *stacked)
{
	const struct config *config = card->config;
	char problem[200];
	int err = plan_build(config, &card->set->sizes, NULL, card->numbers, &stacked->plan,
			     problem, sizeof(problem));

	for (uint32_t i = 0; !err && i < config->n_cids; i++)
		for (uint32_t pool = 0; config->cids[i].keyed && pool < config->n_pools; pool++)
			if (config->cids[i].pool == CONFIG_NO_POOL || config->cids[i].pool == pool)
				take_key(card, host, &config->cids[i], pool, stacked);
	return err;
}

int stacked_read(const struct map_set *card, const struct map_set *host, struct stacked *stacked)
{
	struct side above = {}, below = {};
	int err = side_read(card, &above);

	memset(stacked, 0, sizeof(*stacked));
	if (!err)
		err = side_read(host, &below);
	if (!err)
		err = pair_cids(&above, &below, stacked);
	if (!err && config_equal(above.config, below.config))
		err = make_plan(&above, &below, stacked);
	stacked->card_generation = above.generation;
	stacked->host_generation = below.generation;
	stacked->config = above.config;
	above.config = NULL;
	side_free(&above);
	side_free(&below);
	return err;
}

int stacked_is_old(const struct stacked *stacked, const struct map_set *card,
		   const struct map_set *host)
{
	struct lb_generation above, below;
	int err = sync_tables(card, &above);

	if (!err)
		err = sync_tables(host, &below);
	if (err)
		return err;
	return above.number != stacked->card_generation || below.number != stacked->host_generation;
}

const struct stacked_cid *stacked_by_host(const struct stacked *stacked, uint32_t index)
{
	for (uint32_t i = 0; i < stacked->n; i++)
		if (stacked->cids[i].host == index)
			return &stacked->cids[i];
	return NULL;
}

const char *stacked_server_name(const struct stacked *stacked, uint32_t number, char *name)
{
	const struct config_server *server;
	uint32_t pool = 0;

	snprintf(name, STACKED_NAME, "%u", number);
	for (uint32_t i = 0; stacked->plan && i < stacked->plan->n_servers; i++)
		if (stacked->plan->server_number[i] == number) {
			server = plan_server(stacked->config, i, &pool);
			snprintf(name, STACKED_NAME, "%s/%s", stacked->config->pools[pool].name,
				 server->name);
		}
	return name;
}

void stacked_free(struct stacked *stacked)
{
	plan_free(stacked->plan);
	config_free(stacked->config);
	free(stacked->cids);
	memset(stacked, 0, sizeof(*stacked));
}
