/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Map halves into memory. See tables.h.
 */
#include "tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "batch.h"
#include "lb/cipher.h"

/* An apply takes milliseconds, so that two of them in the time of one reading are rare. */
#define TRIES 5

static void *read_half(int map, uint32_t first, uint32_t n, size_t size, int *error)
{
	char *values = *error ? NULL : calloc((size_t)n + 1, size);

	if (*error)
		return NULL;
	if (!values)
		*error = -ENOMEM;
	else
		*error = batch_read(map, first, n, (uint32_t)size, values);
	return values;
}

static int read_all(const struct map_set *set, const struct lb_generation *from,
		    struct tables *tables)
{
	const struct plan_sizes *sizes = &set->sizes;
	uint32_t n_cids = LB_CID_INDEX(sizes->pools + 1, 0);
	int error = 0;

	*tables = (struct tables){ .half = from->half,
				   .n_vips = sizes->vips + 1,
				   .n_addresses = sizes->address_buckets };
	if (bpf_map_lookup_elem(set->setting, &from->half, &tables->setting))
		return -errno;
#define HALF(map, base, n, type) read_half(set->map, base, n, sizeof(type), &error)
	tables->vip = HALF(vip, from->vip_base, sizes->vip_buckets, struct lb_bucket);
	tables->sid = HALF(sid, from->sid_base, sizes->sid_buckets, struct lb_bucket);
	tables->cids = HALF(cid_config, from->config_base, n_cids, struct lb_cid_config);
	tables->keys = HALF(cid_key, from->config_base, n_cids, struct lb_cid_key);
	tables->rows = HALF(row, from->row_base, sizes->rows, uint32_t);
	tables->servers = HALF(server, from->server_base, sizes->servers, struct lb_server);
	tables->address = HALF(address, tables->setting.address_base, sizes->address_buckets,
			       struct lb_bucket);
	tables->vips = HALF(vip_address, tables->setting.vip_base, sizes->vips + 1, struct lb_vip);
#undef HALF
	tables->view = (struct decide_tables){
		.number = from->number,
		.vip_table = tables->vip,
		.vip_buckets = sizes->vip_buckets,
		.sid_table = tables->sid,
		.sid_buckets = sizes->sid_buckets,
		.cids = tables->cids,
		.keys = tables->keys,
		.n_cids = n_cids,
		.rows = tables->rows,
		.n_rows = sizes->rows,
		.row_mask = from->row_mask,
		.servers = tables->servers,
		.n_servers = sizes->servers,
		.setting = &tables->setting,
		.address_table = tables->address,
		.address_buckets = sizes->address_buckets,
	};
	return error;
}

void tables_free(struct tables *tables)
{
	if (tables->keys)
		explicit_bzero(tables->keys, tables->view.n_cids * sizeof(*tables->keys));
	free(tables->vips);
	free(tables->address);
	free(tables->servers);
	free(tables->rows);
	free(tables->keys);
	free(tables->cids);
	free(tables->sid);
	free(tables->vip);
	memset(tables, 0, sizeof(*tables));
}

void tables_refresh(const struct map_set *set, struct tables *tables)
{
	struct lb_setting setting;

	if (tables->view.number && !bpf_map_lookup_elem(set->setting, &tables->half, &setting))
		tables->setting = setting;
}

int tables_follow(const struct map_set *set, struct tables *tables, bool again)
{
	struct lb_generation before, after;
	struct tables fresh;
	int error = sync_tables(set, &before);

	if (error || (before.number == tables->view.number && !again))
		return error;
	for (int i = 0; i < TRIES; i++) {
		error = read_all(set, &before, &fresh);
		if (!error)
			error = sync_tables(set, &after);
		if (!error && after.number == before.number) {
			tables_free(tables);
			*tables = fresh;
			tables->view.setting = &tables->setting;
			return 1;
		}
		tables_free(&fresh);
		if (error)
			return error;
		before = after;
	}
	return -EAGAIN;
}
