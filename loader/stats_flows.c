/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How full conn_track is. See stats.h.
 */
#include <errno.h>

#include "flow_table.h"
#include "stats.h"

int stats_read_conn_track(const struct map_set *maps, struct stats_tier *tier)
{
	struct flow_table table;
	int err = flow_table_open(&table, maps, NULL);

	if (err)
		return err == -ENOTSUP ? 0 : err;
	if (table.setting.flow_mask)
		tier->conn_track_room = maps->sizes.flows;
	while (flow_table_next(&table, &err))
		for (uint32_t i = 0; i < table.n; i++)
			tier->conn_track_used += !flow_table_is_over(&table, &table.list[i]);
	flow_table_close(&table);
	return err;
}

json_t *stats_conn_track_json(const struct stats_tier *tier)
{
	if (!tier->conn_track_room)
		return json_null();
	return json_pack("{s:I, s:I}", "used", (json_int_t)tier->conn_track_used, "room",
			 (json_int_t)tier->conn_track_room);
}
