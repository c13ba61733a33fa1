/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads the tables that packets of a tier meet. See view.h.
 */
#include "view.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"

uint32_t view_rows(const struct view *view)
{
	return view->tables.row_mask + 1;
}

/* A server is in rows of its own pool only, so one count over all rows does for all pools. */
static int read_tables(struct view *view)
{
	const struct map_set *maps = &view->attachment->maps;
	uint32_t each = view_rows(view), n = view->config->n_pools * each;
	int err = 0;

	for (uint32_t pool = 0; !err && pool < view->config->n_pools; pool++) {
		uint32_t number = plan_pool_number(view->config, view->numbers, pool);

		err = batch_read(maps->row, view->tables.row_base + number * each, each,
				 sizeof(*view->rows), view->rows + (size_t)pool * each);
	}
	for (uint32_t i = 0; !err && i < n; i++)
		if (view->rows[i] < maps->sizes.servers)
			view->shares[view->rows[i]]++;
	view->shares[0] = 0;
	return err ? err :
		     batch_read(maps->server, view->tables.server_base, maps->sizes.servers,
				sizeof(*view->servers), view->servers);
}

static int make_room(struct view *view)
{
	uint32_t most = view->attachment->maps.sizes.servers;

	view->n_servers = plan_count_servers(view->config);
	view->number = view->numbers->servers;
	view->rows = calloc((size_t)view->config->n_pools * (view->tables.row_mask + 1),
			    sizeof(*view->rows));
	view->shares = calloc(most, sizeof(*view->shares));
	view->servers = calloc(most, sizeof(*view->servers));
	return view->rows && view->shares && view->servers ? 0 : -ENOMEM;
}

int view_read(const struct attachment *attachment, struct view *view, struct reason *reason)
{
	const struct map_set *maps = &attachment->maps;
	struct lb_meta meta = {};
	uint32_t zero = 0;
	int err;

	memset(view, 0, sizeof(*view));
	view->attachment = attachment;
	err = sync_read(maps, &view->config, &view->numbers, &view->generation, reason);
	if (err || !view->config)
		return err;
	if (bpf_map_lookup_elem(maps->meta, &zero, &meta) ||
	    bpf_map_lookup_elem(maps->generation, &meta.active, &view->tables))
		return reason_set(reason, REASON_UNKNOWN, "map-read", errno, LB_MAP_GENERATION);
	err = make_room(view);
	if (!err)
		err = read_tables(view);
	return err ? reason_set(reason, REASON_UNKNOWN, "map-read", -err, "%s",
				attachment->interface) :
		     0;
}

void view_free(struct view *view)
{
	free(view->servers);
	free(view->shares);
	free(view->rows);
	plan_numbers_free(view->numbers);
	config_free(view->config);
	memset(view, 0, sizeof(*view));
}
