/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two lists in the same order, as they mostly are, are walked side by side; else names are looked up.
 */
#include "config_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"

/* The names in a list of structs. */
struct names {
	const char *first;
	size_t stride;
	uint32_t n;
};

static const char *name_at(const struct names *names, uint32_t i)
{
	return names->first + i * names->stride;
}

static int note_all(const struct names *names, struct index *index)
{
	for (uint32_t i = 0; i < names->n; i++) {
		uint64_t at = i;

		if (index_note(index, 0, name_at(names, i), strlen(name_at(names, i)), &at) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* found: the positions in `in` of the names of `of`. */
static int match_names(const struct names *of, const struct names *in, uint32_t *found)
{
	struct index index = {};
	uint32_t next = 0;
	int err = 0;

	for (uint32_t i = 0; !err && i < of->n; i++) {
		const char *name = name_at(of, i);
		uint64_t at = next;

		if (next >= in->n || strcmp(name, name_at(in, next))) {
			if (!index.n)
				err = note_all(in, &index);
			if (!index_find(&index, 0, name, strlen(name), &at))
				at = CONFIG_NOWHERE;
		}
		found[i] = (uint32_t)at;
		if (at != CONFIG_NOWHERE)
			next = (uint32_t)at + 1;
	}
	index_free(&index);
	return err;
}

#define NAMES(list, n) ((struct names){ (n) ? (list)->name : NULL, sizeof(*(list)), n })

static uint32_t count_servers(const struct config *config)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < config->n_pools; i++)
		n += config->pools[i].n_servers;
	return n;
}

/* The position of a pool's first server. */
static uint32_t first_of(const struct config *config, uint32_t pool)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool; i++)
		n += config->pools[i].n_servers;
	return n;
}

static int match_pool(const struct config_pool *pool, const struct config *other, uint32_t where,
		      uint32_t *found)
{
	const struct names of = NAMES(pool->servers, pool->n_servers);
	uint32_t first = first_of(other, where);
	const struct config_pool *in = &other->pools[where];
	const struct names names = NAMES(in->servers, in->n_servers);
	int err = match_names(&of, &names, found);

	for (uint32_t i = 0; i < pool->n_servers; i++)
		if (found[i] != CONFIG_NOWHERE)
			found[i] += first;
	return err;
}

static int match_all(const struct config *config, const struct config *other,
		     struct config_match *match)
{
	const struct names pools = NAMES(config->pools, config->n_pools);
	const struct names other_pools = NAMES(other->pools, other->n_pools);
	const struct names vips = NAMES(config->vips, config->n_vips);
	const struct names other_vips = NAMES(other->vips, other->n_vips);
	uint32_t first = 0;
	int err = match_names(&pools, &other_pools, match->pools);

	if (!err)
		err = match_names(&vips, &other_vips, match->vips);
	for (uint32_t i = 0; !err && i < config->n_pools; i++) {
		if (match->pools[i] != CONFIG_NOWHERE)
			err = match_pool(&config->pools[i], other, match->pools[i],
					 match->servers + first);
		first += config->pools[i].n_servers;
	}
	return err;
}

static uint32_t *nowhere(uint32_t n)
{
	uint32_t *list = calloc(n + 1, sizeof(*list));

	for (uint32_t i = 0; list && i < n; i++)
		list[i] = CONFIG_NOWHERE;
	return list;
}

int config_match(const struct config *config, const struct config *other,
		 struct config_match *match)
{
	match->servers = nowhere(count_servers(config));
	match->vips = nowhere(config->n_vips);
	match->pools = nowhere(config->n_pools);
	if (!match->servers || !match->vips || !match->pools)
		return -ENOMEM;
	return other ? match_all(config, other, match) : 0;
}

void config_match_free(struct config_match *match)
{
	free(match->servers);
	free(match->vips);
	free(match->pools);
	*match = (struct config_match){};
}
