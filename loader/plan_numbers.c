/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The numbers of a plan's servers, VIPs and pools, which stay the same from one file to the next.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

/*
 * Names that had a number keep it; new ones get the lowest that nobody has or had, so that a counter is
 * not handed from one server to another while there is room.
 */
struct numbering {
	const json_t *before;
	bool *taken, *had; /* by number */
	uint32_t highest, next;
};

static uint32_t old_number(const struct numbering *numbering, const json_t *value)
{
	json_int_t number = json_integer_value(value);

	return number > 0 && number <= numbering->highest ? (uint32_t)number : 0;
}

static void keep_numbers(struct numbering *numbering, uint32_t *numbers, uint32_t n,
			 char *const *names)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)numbering->before, name, value)
		numbering->had[old_number(numbering, value)] = true;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t number =
			old_number(numbering, json_object_get(numbering->before, names[i]));

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

static int assign_numbers(uint32_t *numbers, uint32_t n, char *const *names, const json_t *before,
			  uint32_t highest)
{
	struct numbering numbering = { before, calloc(highest + 1, 1), calloc(highest + 1, 1),
				       highest, 0 };
	int err = numbering.taken && numbering.had ? 0 : -ENOMEM;

	if (!err)
		keep_numbers(&numbering, numbers, n, names);
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

static void free_names(char **names, uint32_t n)
{
	for (uint32_t i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
}

/* "pool/server": unique over the file. */
static char **server_names(const struct config *config, uint32_t n)
{
	char **names = calloc(n + 1, sizeof(*names));

	for (uint32_t i = 0; names && i < n; i++) {
		uint32_t pool = 0;
		const struct config_server *server = plan_server(config, i, &pool);

		if (asprintf(&names[i], "%s/%s", config->pools[pool].name, server->name) < 0) {
			names[i] = NULL;
			free_names(names, n);
			return NULL;
		}
	}
	return names;
}

static char **vip_names(const struct config *config)
{
	char **names = calloc(config->n_vips + 1, sizeof(*names));

	for (uint32_t i = 0; names && i < config->n_vips; i++) {
		names[i] = strdup(config->vips[i].name);
		if (!names[i]) {
			free_names(names, config->n_vips);
			return NULL;
		}
	}
	return names;
}

static char **pool_names(const struct config *config)
{
	char **names = calloc(config->n_pools + 1, sizeof(*names));

	for (uint32_t i = 0; names && i < config->n_pools; i++) {
		names[i] = strdup(config->pools[i].name);
		if (!names[i]) {
			free_names(names, config->n_pools);
			return NULL;
		}
	}
	return names;
}

uint32_t plan_pool_number(const struct config *config, const json_t *numbers, uint32_t pool)
{
	return (uint32_t)json_integer_value(
		json_object_get(json_object_get(numbers, "pools"), config->pools[pool].name));
}

/* Maps made for more pools may hold fewer of this file's rows; check_room() saw that all find a place. */
static uint32_t highest_pool(const struct plan *plan)
{
	uint32_t by_rows = (plan->sizes.rows >> plan->row_shift) - 1;

	return by_rows < plan->sizes.pools ? by_rows : plan->sizes.pools;
}

int plan_number_all(struct plan *plan, const json_t *before)
{
	char **servers = server_names(plan->config, plan->n_servers);
	char **vips = vip_names(plan->config), **pools = pool_names(plan->config);
	int err = -ENOMEM;

	if (servers && vips && pools)
		err = assign_numbers(plan->server_number, plan->n_servers, servers,
				     json_object_get(before, "servers"), plan->sizes.servers - 1);
	if (!err)
		err = assign_numbers(plan->vip_number, plan->config->n_vips, vips,
				     json_object_get(before, "vips"), plan->sizes.vips);
	if (!err)
		err = assign_numbers(plan->pool_number, plan->config->n_pools, pools,
				     json_object_get(before, "pools"), highest_pool(plan));
	free_names(pools, plan->config->n_pools);
	free_names(vips, plan->config->n_vips);
	free_names(servers, plan->n_servers);
	return err;
}

json_t *plan_numbers_json(const struct plan *plan)
{
	json_t *servers = json_object(), *vips = json_object(), *pools = json_object();
	char **names = server_names(plan->config, plan->n_servers);

	for (uint32_t i = 0; names && i < plan->n_servers; i++)
		json_object_set_new(servers, names[i], json_integer(plan->server_number[i]));
	free_names(names, plan->n_servers);
	for (uint32_t i = 0; i < plan->config->n_vips; i++)
		json_object_set_new(vips, plan->config->vips[i].name,
				    json_integer(plan->vip_number[i]));
	for (uint32_t i = 0; i < plan->config->n_pools; i++)
		json_object_set_new(pools, plan->config->pools[i].name,
				    json_integer(plan->pool_number[i]));
	return json_pack("{s:o, s:o, s:o}", "servers", servers, "vips", vips, "pools", pools);
}
