/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The numbers of a plan's servers, VIPs and pools, which stay the same from one file to the next.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_match.h"
#include "plan.h"

/*
 * Names that had a number keep it; new ones get the lowest that nobody has or had, so that a counter is
 * not handed from one server to another while there is room.
 */
struct numbering {
	bool *taken, *had; /* by number */
	uint32_t highest, next;
};

/* Things of one kind: `before` has had n numbers, and found says where each thing is among them. */
struct past {
	const uint32_t *before, *found;
	uint32_t n;
};

static uint32_t old_number(const struct numbering *numbering, uint32_t number)
{
	return number <= numbering->highest ? number : 0;
}

static void keep_numbers(struct numbering *numbering, uint32_t *numbers, uint32_t n,
			 const struct past *past)
{
	for (uint32_t i = 0; i < past->n; i++)
		numbering->had[old_number(numbering, past->before[i])] = true;
	for (uint32_t i = 0; past->before && i < n; i++) {
		uint32_t number = 0;

		if (past->found[i] != CONFIG_NOWHERE)
			number = old_number(numbering, past->before[past->found[i]]);
		if (number && !numbering->taken[number]) {
			numbers[i] = number;
			numbering->taken[number] = true;
		}
	}
}

/* There are at least as many numbers as names, so the second round always finds one. */
static uint32_t free_number(struct numbering *numbering)
{
	while (++numbering->next <= numbering->highest)
		if (!numbering->taken[numbering->next] && !numbering->had[numbering->next])
			return numbering->next;
	for (uint32_t number = 1; number <= numbering->highest; number++)
		if (!numbering->taken[number])
			return number;
	return 0;
}

static int assign_numbers(uint32_t *numbers, uint32_t n, const struct past *past, uint32_t highest)
{
	struct numbering numbering = { calloc(highest + 1, 1), calloc(highest + 1, 1), highest, 0 };
	int err = numbering.taken && numbering.had ? 0 : -ENOMEM;

	if (!err)
		keep_numbers(&numbering, numbers, n, past);
	for (uint32_t i = 0; !err && i < n; i++) {
		if (numbers[i])
			continue;
		numbers[i] = free_number(&numbering);
		numbering.taken[numbers[i]] = true;
	}
	free(numbering.had);
	free(numbering.taken);
	return err;
}

uint32_t plan_pool_number(const struct config *config, const struct plan_numbers *numbers,
			  uint32_t pool)
{
	const struct config *of = numbers ? numbers->config : NULL;

	if (of == config && of)
		return numbers->pools[pool];
	for (uint32_t i = 0; of && i < of->n_pools; i++)
		if (!strcmp(of->pools[i].name, config->pools[pool].name))
			return numbers->pools[i];
	return 0;
}

/* Maps made for more pools may hold fewer of this file's rows; check_room() saw that all find a place. */
static uint32_t highest_pool(const struct plan *plan)
{
	uint32_t by_rows = (plan->sizes.rows >> plan->row_shift) - 1;

	return by_rows < plan->sizes.pools ? by_rows : plan->sizes.pools;
}

int plan_number_all(struct plan *plan, const struct plan_numbers *before)
{
	const struct config *config = plan->config, *old = before ? before->config : NULL;
	struct config_match match;
	int err = config_match(config, old, &match);

	if (!err) {
		const struct past servers = { before ? before->servers : NULL, match.servers,
					      old ? plan_count_servers(old) : 0 };
		const struct past vips = { before ? before->vips : NULL, match.vips,
					   old ? old->n_vips : 0 };
		const struct past pools = { before ? before->pools : NULL, match.pools,
					    old ? old->n_pools : 0 };

		err = assign_numbers(plan->server_number, plan->n_servers, &servers,
				     plan->sizes.servers - 1);
		if (!err)
			err = assign_numbers(plan->vip_number, config->n_vips, &vips,
					     plan->sizes.vips);
		if (!err)
			err = assign_numbers(plan->pool_number, config->n_pools, &pools,
					     highest_pool(plan));
	}
	config_match_free(&match);
	return err;
}

struct plan_numbers *plan_numbers_new(const struct config *config)
{
	struct plan_numbers *numbers = calloc(1, sizeof(*numbers));

	if (!numbers)
		return NULL;
	numbers->config = config;
	numbers->servers = calloc(plan_count_servers(config) + 1, sizeof(*numbers->servers));
	numbers->vips = calloc(config->n_vips + 1, sizeof(*numbers->vips));
	numbers->pools = calloc(config->n_pools + 1, sizeof(*numbers->pools));
	if (numbers->servers && numbers->vips && numbers->pools)
		return numbers;
	plan_numbers_free(numbers);
	return NULL;
}

void plan_numbers_free(struct plan_numbers *numbers)
{
	if (!numbers)
		return;
	free(numbers->servers);
	free(numbers->vips);
	free(numbers->pools);
	free(numbers);
}
