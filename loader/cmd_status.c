/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader status: what is attached where, since when, and what it was told to do.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attach.h"
#include "claim.h"
#include "cli.h"
#include "out.h"

/* An attachment and what its maps say. */
struct view {
	const struct attachment *attachment;
	struct config *config; /* NULL: none was applied */
	uint32_t generation;
	uint32_t n_servers, n_unresolved;
	double age; /* seconds, below 0: unknown */
};

static double age(uint64_t loaded)
{
	struct timespec now;

	if (!loaded || clock_gettime(CLOCK_BOOTTIME, &now))
		return -1;
	return (double)now.tv_sec + now.tv_nsec / 1e9 - (double)loaded / 1e9;
}

/* Servers whose entry is unset: nobody knew the way when the file was applied. */
static void count_servers(struct view *view, const struct plan_numbers *numbers)
{
	const struct map_set *maps = &view->attachment->maps;
	struct lb_generation generation = {};
	struct lb_server server = {};
	struct lb_meta meta = {};
	uint32_t key = 0;

	if (bpf_map_lookup_elem(maps->meta, &key, &meta) ||
	    bpf_map_lookup_elem(maps->generation, &meta.active, &generation))
		return;
	view->n_servers = plan_count_servers(numbers->config);
	for (uint32_t i = 0; i < view->n_servers; i++) {
		key = generation.server_base + numbers->servers[i];
		if (bpf_map_lookup_elem(maps->server, &key, &server) ||
		    server.mode == LB_MODE_UNSET)
			view->n_unresolved++;
	}
}

static int view_read(const struct attachment *attachment, struct view *view, struct reason *reason)
{
	struct plan_numbers *numbers = NULL;
	int error;

	memset(view, 0, sizeof(*view));
	view->attachment = attachment;
	view->age = age(attachment->loaded);
	error = sync_read(&attachment->maps, &view->config, &numbers, &view->generation, reason);
	if (!error && view->config)
		count_servers(view, numbers);
	plan_numbers_free(numbers);
	return error;
}

static const char *age_text(double seconds, char *buffer, size_t size)
{
	long whole = (long)seconds;

	if (seconds < 0)
		snprintf(buffer, size, "?");
	else if (whole < 120)
		snprintf(buffer, size, "%ld s", whole);
	else if (whole < 7200)
		snprintf(buffer, size, "%ld min", whole / 60);
	else if (whole < 172800)
		snprintf(buffer, size, "%ld h", whole / 3600);
	else
		snprintf(buffer, size, "%ld d", whole / 86400);
	return buffer;
}

static const char *note(const struct attachment *attachment)
{
	if (attachment->tier == TIER_USERSPACE && !claim_is_held(attachment->interface))
		return "nobody serves it: loader run";
	return attachment->current ? "" : "program of another build";
}

static void add_row(struct out_table *table, const struct view *view)
{
	const struct attachment *attachment = view->attachment;
	char id[16], generation[16], since[32], config[80] = "none: every packet passes";
	const char *cells[] = { attachment->interface,
				tiers[attachment->tier].name,
				id,
				attachment->dispatcher ? "dispatcher" : "direct",
				stack_mode_text(attachment->stack.mode),
				age_text(view->age, since, sizeof(since)),
				generation,
				config,
				note(attachment) };

	snprintf(id, sizeof(id), attachment->program_id ? "%u" : "-", attachment->program_id);
	snprintf(generation, sizeof(generation), "%u", view->generation);
	if (view->config && view->n_unresolved)
		snprintf(config, sizeof(config), "%u VIPs, %u servers, %u without a way",
			 view->config->n_vips, view->n_servers, view->n_unresolved);
	else if (view->config)
		snprintf(config, sizeof(config), "%u VIPs, %u servers", view->config->n_vips,
			 view->n_servers);
	out_table_row(table,
		      view->n_unresolved || !view->config || note(attachment)[0] ? OUT_WARN :
										   OUT_PLAIN,
		      cells);
}

static json_t *maps_json(const struct map_set *maps)
{
	const int fds[] = { maps->meta,		maps->generation,   maps->vip,
			    maps->cid_config,	maps->sid,	    maps->row,
			    maps->server,	maps->reason_stats, maps->vip_stats,
			    maps->server_stats, maps->cid_stats,    maps->egress,
			    maps->text };
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		struct bpf_map_info info = {};
		__u32 length = sizeof(info);

		if (fds[i] < 0 || bpf_obj_get_info_by_fd(fds[i], &info, &length))
			continue;
		json_array_append_new(
			list, json_pack("{s:s, s:i, s:i, s:i, s:i}", "name", info.name, "id",
					(int)info.id, "entries", (int)info.max_entries, "key_size",
					(int)info.key_size, "value_size", (int)info.value_size));
	}
	return list;
}

static json_t *mode_json(const struct attachment *attachment)
{
	enum stack_mode mode = attachment->stack.mode;

	return mode == STACK_NONE ? json_null() : json_string(stack_mode_text(mode));
}

static json_t *view_json(const struct view *view)
{
	const struct attachment *attachment = view->attachment;
	json_t *program = json_pack("{s:i, s:s, s:b}", "id", (int)attachment->program_id, "tag",
				    attachment->tag, "current", attachment->current);
	json_t *config = json_null();

	if (view->config)
		config = json_pack("{s:i, s:i, s:i, s:i}", "vips", (int)view->config->n_vips,
				   "pools", (int)view->config->n_pools, "servers",
				   (int)view->n_servers, "unresolved", (int)view->n_unresolved);
	return json_pack("{s:s, s:i, s:s, s:o, s:s, s:b, s:o, s:b, s:o, s:i, s:o, s:o}",
			 "interface", attachment->interface, "ifindex", (int)attachment->ifindex,
			 "tier", tiers[attachment->tier].name, "program", program, "mode",
			 attachment->dispatcher ? "dispatcher" : "direct", "stack",
			 attachment->stack.mode != STACK_NONE, "stack_mode", mode_json(attachment),
			 "served",
			 attachment->tier != TIER_USERSPACE || claim_is_held(attachment->interface),
			 "age", view->age < 0 ? json_null() : json_real(view->age), "generation",
			 (int)view->generation, "config", config, "maps",
			 maps_json(&attachment->maps));
}

static int print_list(const struct attachment *attachments, size_t n)
{
	static const char *const headings[] = { "interface",   "tier",	 ">program",
						"mode",	       "stack",	 ">age",
						">generation", "config", "" };
	struct out_table *table = out_table_begin(9, headings);
	json_t *list = json_array();
	struct reason reason = {};
	struct view view;
	int error = 0;
	size_t i;

	for (i = 0; i < n && !error; i++) {
		error = view_read(&attachments[i], &view, &reason);
		if (error)
			break;
		add_row(table, &view);
		json_array_append_new(list, view_json(&view));
		config_free(view.config);
	}
	out_table_end(table);
	if (error) {
		json_decref(list);
		return out_fail(&reason);
	}
	out_json(json_pack("{s:s, s:o}", "schema", "shunt/status/1", "attached", list));
	return 0;
}

static int run(const struct cli_common *common, const void *options, int argc, char **argv)
{
	const char *interface = argc ? argv[0] : NULL;
	struct attachment *list = NULL;
	struct reason reason = {};
	size_t n = 0;
	int error, status;

	(void)common;
	(void)options;
	error = attach_list(interface, &list, &n, &reason);
	if (!error && interface && !if_nametoindex(interface))
		error = reason_set(&reason, REASON_NO_INTERFACE, "interface", 0, "%s", interface);
	if (!error && !n)
		error = reason_set(&reason, REASON_NOT_ATTACHED, "status", 0, "%s",
				   interface ? interface : "");
	status = error ? out_fail(&reason) : print_list(list, n);
	attach_list_free(list, n);
	return status;
}

const struct cli_command cmd_status = {
	.name = "status",
	.arguments = "[IFACE]",
	.summary = "what is attached: tiers, programs, generation, age",
	.max_arguments = 1,
	.run = run,
};
