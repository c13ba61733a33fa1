/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The counters of the TC programs, with names put to them. See stats.h.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pins.h"
#include "stats.h"

#define WORDS (sizeof(struct lb_stack_count) / sizeof(uint64_t))

/* -ENOENT: they are not there, or another build's. */
static int read_counts(const char *interface, uint32_t n, struct lb_stack_count *counts)
{
	struct pin_path folder = pins_folder(interface, PINS_STACK);
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);
	int fd = bpf_obj_get(pins_in(&folder, LB_MAP_STACK_STATS).text), err = -ENOENT;

	if (fd < 0)
		return -ENOENT;
	if (!bpf_obj_get_info_by_fd(fd, &info, &length) && info.value_size == sizeof(*counts))
		err = sync_words(fd, true, n, WORDS, (uint64_t *)counts);
	close(fd);
	return err;
}

static void add_item(struct stats_tier *tier, enum lb_direction direction, const char *name,
		     const struct lb_stack_count *count)
{
	struct stats_item *item = &tier->stack[direction][tier->n_stack[direction]++];

	snprintf(item->name, sizeof(item->name), "%s", name);
	item->count = (struct lb_count){ count->packets, count->octets };
	item->drops = count->drops;
	item->redirects = count->redirects;
}

static void add_vips(struct stats_tier *tier, enum lb_direction direction,
		     const struct config *config, const struct plan_numbers *numbers,
		     const struct lb_stack_count *counts)
{
	add_item(tier, direction, "(no VIP)", &counts[LB_STACK_VIP(direction, 0)]);
	for (uint32_t i = 0; i < config->n_vips; i++) {
		add_item(tier, direction, config->vips[i].name,
			 &counts[LB_STACK_VIP(direction, numbers->vips[i])]);
	}
}

/* Only those that answer through this host have something to count. */
static void add_servers(struct stats_tier *tier, const struct config *config,
			const struct plan_numbers *numbers, const struct lb_stack_count *counts)
{
	const struct config_server *server;
	uint32_t pool = 0;

	for (uint32_t i = 0; (server = plan_server(config, i, &pool)); i++) {
		char name[2 * CONFIG_NAME_MAX + 2];

		if (server->mode != CONFIG_MODE_NAT)
			continue;
		snprintf(name, sizeof(name), "%s/%s", config->pools[pool].name, server->name);
		add_item(tier, LB_EGRESS, name, &counts[numbers->servers[i]]);
	}
}

int stats_read_stack(const struct map_set *maps, const struct config *config,
		     const struct plan_numbers *numbers, struct stats_tier *tier)
{
	uint32_t servers = LB_STACK_VIP(LB_INGRESS, maps->sizes.vips + 1);
	uint32_t n = map_set_entries(LB_MAP_STACK_STATS, &maps->sizes);
	struct lb_stack_count *counts = calloc(n, sizeof(*counts));
	int err = counts ? read_counts(tier->interface, n, counts) : -ENOMEM;

	for (int i = 0; !err && i < 2; i++) {
		tier->stack[i] =
			calloc(1 + config->n_vips + tier->n_servers, sizeof(*tier->stack[i]));
		if (!tier->stack[i])
			err = -ENOMEM;
		else
			add_vips(tier, i, config, numbers, counts);
	}
	if (!err)
		add_servers(tier, config, numbers, counts + servers);
	free(counts);
	return err == -ENOENT ? 0 : err;
}

static json_t *item_json(const struct stats_item *item)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "packets", (json_int_t)item->count.packets,
			 "octets", (json_int_t)item->count.octets, "drops", (json_int_t)item->drops,
			 "redirects", (json_int_t)item->redirects);
}

static json_t *items_json(const struct stats_item *items, uint32_t n)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < n; i++)
		json_object_set_new(object, items[i].name, item_json(&items[i]));
	return object;
}

static json_t *direction_json(const struct stats_tier *tier, enum lb_direction direction)
{
	const struct stats_item *items = tier->stack[direction];

	return json_pack("{s:o, s:o, s:o}", "other", item_json(items), "vips",
			 items_json(items + 1, tier->n_vips), "servers",
			 items_json(items + 1 + tier->n_vips,
				    tier->n_stack[direction] - 1 - tier->n_vips));
}

json_t *stats_stack_json(const struct stats_tier *tier)
{
	if (!tier->n_stack[LB_EGRESS])
		return json_null();
	return json_pack("{s:o, s:o}", "in", direction_json(tier, LB_INGRESS), "out",
			 direction_json(tier, LB_EGRESS));
}
