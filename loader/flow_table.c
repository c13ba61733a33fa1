/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Goes through conn_track by the kernel's batches. See flow_table.h.
 */
#include "flow_table.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "lb/flow.h"
#include "setting.h"

static int read_setting(const struct map_set *set, struct lb_setting *setting)
{
	struct lb_meta meta = {};
	uint32_t zero = 0;

	return bpf_map_lookup_elem(set->meta, &zero, &meta) ||
			       bpf_map_lookup_elem(set->setting, &meta.active, setting) ?
		       -errno :
		       0;
}

int flow_table_open(struct flow_table *flows, const struct map_set *set, const uint32_t *now)
{
	uint64_t jiffies = 0;
	int err;

	*flows = (struct flow_table){ .set = set };
	if (set->conn_track < 0 || set->setting < 0)
		return -ENOTSUP;
	err = read_setting(set, &flows->setting);
	if (!err && !now)
		err = clock_jiffies(&jiffies);
	if (err)
		return err;
	flows->now = now ? *now : (uint32_t)jiffies;
	flows->keys = calloc(FLOW_TABLE_AT_ONCE, sizeof(*flows->keys));
	flows->list = calloc(FLOW_TABLE_AT_ONCE, sizeof(*flows->list));
	if (flows->keys && flows->list)
		return 0;
	flow_table_close(flows);
	return -ENOMEM;
}

bool flow_table_next(struct flow_table *flows, int *err)
{
	*err = 0;
	flows->n = 0;
	if (flows->ended)
		return false;
	flows->n = FLOW_TABLE_AT_ONCE;
	if (bpf_map_lookup_batch(flows->set->conn_track, flows->begun ? &flows->place : NULL,
				 &flows->place, flows->keys, flows->list, &flows->n, NULL)) {
		flows->ended = true;
		if (errno != ENOENT) {
			*err = -errno;
			flows->n = 0;
		}
	}
	flows->begun = true;
	return flows->n;
}

void flow_table_close(struct flow_table *flows)
{
	free(flows->keys);
	free(flows->list);
	flows->keys = NULL;
	flows->list = NULL;
}

bool flow_table_is_over(const struct flow_table *flows, const struct lb_flow *flow)
{
	return lb_flow_expired(flow, &flows->setting, flows->now);
}

void flow_table_delete(const struct flow_table *flows, uint32_t i)
{
	bpf_map_delete_elem(flows->set->conn_track, &flows->keys[i]);
}

void flow_table_delete_cid(const struct flow_table *flows, uint32_t i)
{
	struct lb_flow_key key = lb_flow_cid_key(flows->list[i].cid, flows->keys[i].of);

	bpf_map_delete_elem(flows->set->conn_track, &key);
}

int flow_table_forget_servers(const struct map_set *set, const bool *gone)
{
	struct flow_table flows;
	int err = flow_table_open(&flows, set, NULL);

	if (err)
		return err == -ENOTSUP ? 0 : err;
	while (flow_table_next(&flows, &err))
		for (uint32_t i = 0; i < flows.n; i++)
			if (flows.list[i].server >= set->sizes.servers ||
			    gone[flows.list[i].server])
				flow_table_delete(&flows, i);
	flow_table_close(&flows);
	return err;
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.id;
}

static bool is_one(int fd, int other)
{
	return map_id(fd) && map_id(fd) == map_id(other);
}

/* flow_recent_map of `to` counts from then on. */
static void count_since(const struct map_set *to, uint32_t since)
{
	struct lb_setting setting;

	for (uint32_t half = 0; half < 2; half++) {
		if (bpf_map_lookup_elem(to->setting, &half, &setting))
			continue;
		setting.recent_since = since;
		bpf_map_update_elem(to->setting, &half, &setting, BPF_ANY);
	}
}

/* Those that are not over, one by one: the new map may be the smaller one. */
static void copy(const struct map_set *from, const struct map_set *to)
{
	struct flow_table flows;
	int err = flow_table_open(&flows, from, NULL);

	while (!err && flow_table_next(&flows, &err))
		for (uint32_t i = 0; i < flows.n; i++)
			if (flows.list[i].server < to->sizes.servers &&
			    !flow_table_is_over(&flows, &flows.list[i]))
				bpf_map_update_elem(to->conn_track, &flows.keys[i], &flows.list[i],
						    BPF_NOEXIST);
	flow_table_close(&flows);
}

void flow_table_carry(const struct map_set *from, const struct map_set *to)
{
	struct lb_setting before = {}, now = {};
	uint64_t jiffies = 0;

	if (from->conn_track < 0 || to->conn_track < 0 || read_setting(from, &before) ||
	    read_setting(to, &now) || clock_jiffies(&jiffies))
		return;
	if (!is_one(from->conn_track, to->conn_track))
		copy(from, to);
	if (is_one(from->flow_recent, to->flow_recent) && setting_keeps_recent(&before, &now))
		count_since(to, before.recent_since);
	else
		count_since(to, (uint32_t)jiffies);
}

bool flow_table_fit(const struct map_set *set, const struct plan_sizes *sizes)
{
	return set->conn_track >= 0 && set->flow_recent >= 0 && set->sizes.flows &&
	       set->sizes.flows == (sizes->flows ? sizes->flows : 1);
}

bool flow_table_is_one(const struct map_set *set, const struct map_set *other)
{
	return is_one(set->conn_track, other->conn_track);
}

void flow_table_tell_room(const struct map_set *set, uint32_t room, uint32_t until)
{
	struct lb_setting setting;
	struct lb_meta meta = {};
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(set->meta, &zero, &meta) ||
	    bpf_map_lookup_elem(set->setting, &meta.active, &setting))
		return;
	setting.room = room;
	setting.room_until = until;
	bpf_map_update_elem(set->setting, &meta.active, &setting, BPF_ANY);
}
