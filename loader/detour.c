/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The applied file once more, with the ways that sockets have. See detour.h.
 */
#include "detour.h"

#include <errno.h>
#include <stdlib.h>

#include "send.h"

/* Who cannot be reached now has no way either. */
static struct plan_hop *find_ways(const struct config *config)
{
	struct plan_hop *hops;
	uint32_t n = 0;

	while (plan_server(config, n, NULL))
		n++;
	hops = calloc(n + 1, sizeof(*hops));
	for (uint32_t i = 0; hops && i < n; i++)
		hops[i].resolved = !send_route(&plan_server(config, i, NULL)->address,
					       &hops[i].source, &hops[i].mtu);
	return hops;
}

static bool has_gap(const struct tables *tables, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_servers; i++)
		if (tables->servers[plan->server_number[i]].mode == LB_MODE_UNSET)
			return true;
	return false;
}

static void fill(struct tables *tables, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_servers; i++) {
		uint32_t number = plan->server_number[i];

		if (number < tables->view.n_servers &&
		    tables->servers[number].mode == LB_MODE_UNSET &&
		    plan->servers[number].mode != LB_MODE_L2DSR)
			tables->servers[number] = plan->servers[number];
	}
}

static int build(const struct map_set *set, struct tables *tables, const struct config *config,
		 const struct plan_numbers *numbers)
{
	struct plan *plan = NULL;
	struct plan_hop *hops;
	char problem[200];
	int error = plan_build(config, &set->sizes, NULL, numbers, &plan, problem, sizeof(problem));

	if (error || !has_gap(tables, plan)) {
		plan_free(plan);
		return error;
	}
	plan_free(plan);
	plan = NULL;
	hops = find_ways(config);
	error = hops ? plan_build(config, &set->sizes, hops, numbers, &plan, problem,
				  sizeof(problem)) :
		       -ENOMEM;
	if (!error)
		fill(tables, plan);
	plan_free(plan);
	free(hops);
	return error;
}

int detour_fill(const struct map_set *set, struct tables *tables)
{
	struct config *config = NULL;
	struct reason ignored = {};
	struct plan_numbers *numbers = NULL;
	uint32_t generation;
	int error = sync_read(set, &config, &numbers, &generation, &ignored);

	if (!error && config && generation == tables->view.number)
		error = build(set, tables, config, numbers);
	plan_numbers_free(numbers);
	config_free(config);
	return error;
}
