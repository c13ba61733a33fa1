/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader attach, detach: the tiers of an interface on and off, with a line for each that could not
 * be used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "log.h"
#include "out.h"
#include "pins.h"
#include "probe.h"
#include "report.h"
#include "walk.h"

struct attach_arguments {
	const char *tier, *require;
	bool replace, reload, dry_run;
};

struct detach_arguments {
	const char *tier;
	bool all;
};

/* A tier by name; "auto" and nothing at all leave *tier as it is, "auto" overrides the file. */
static int read_tier(const char *name, enum tier *tier)
{
	if (!name)
		return 0;
	*tier = tier_by_name(name);
	if (*tier != TIER_NONE || !strcmp(name, "auto"))
		return 0;
	return out_usage(name,
			 "a tier is offload, driver, generic or userspace (or hw, native, skb), or "
			 "auto");
}

static const char *outcome_text(enum attach_outcome outcome)
{
	switch (outcome) {
	case ATTACH_NEW:
		return "attached";
	case ATTACH_ADOPTED:
		return "adopted, was attached already";
	default:
		return "replaced by this loader's program";
	}
}

static const char *outcome_name(enum attach_outcome outcome)
{
	static const char *const names[] = { "new", "adopted", "replaced" };

	return names[outcome];
}

static void add_row(struct out_table *table, enum out_color color, const char *tier,
		    const char *usable, const char *why, const char *code)
{
	const char *cells[] = { tier, usable, code, why };

	out_table_row(table, color, cells);
}

/* A tier that cannot be used: what it is, then what the kernel says and what to do. */
static void add_reason(struct out_table *table, const char *tier, const char *usable,
		       const char *text, const struct reason *reason)
{
	const char *kernel = reason_kernel(reason), *hint = reason_hint(reason);
	const char *detail = strstr(reason->what, ": "); /* behind interface and tier */
	char line[400];

	add_row(table, OUT_BAD, tier, usable, text, reason_code_name(reason->code));
	if (detail)
		add_row(table, OUT_DIM, "", "", detail + 2, "");
	if (kernel[0]) {
		snprintf(line, sizeof(line), "kernel: %s", kernel);
		add_row(table, OUT_DIM, "", "", line, "");
	}
	if (hint[0])
		add_row(table, OUT_DIM, "", "", hint, "");
}

static struct out_table *begin_table(void)
{
	static const char *const headings[] = { "tier", "usable", "code", "why" };

	return out_table_begin(4, headings);
}

static void print_walk(const struct walk *walk)
{
	struct out_table *table = begin_table();
	enum tier tier;
	char why[100];

	for (tier = 0; tier < TIER_COUNT; tier++) {
		const struct walk_tier *tried = &walk->tiers[tier];

		if (tried->state == WALK_NO)
			add_reason(table, tiers[tier].name, "no", reason_text(tried->reason.code),
				   &tried->reason);
		if (tried->state != WALK_YES)
			continue;
		snprintf(why, sizeof(why), "%s, program id %u%s", outcome_text(tried->outcome),
			 tried->attachment.program_id,
			 tried->attachment.dispatcher ? ", by the dispatcher" : "");
		add_row(table, OUT_GOOD, tiers[tier].name, "yes", why, "");
	}
	out_table_end(table);
}

static json_t *path_json(const char *path)
{
	return path ? out_string(path) : json_null();
}

static json_t *walk_tier_json(enum tier tier, const struct walk_tier *tried)
{
	json_t *json = json_pack("{s:s, s:s, s:o}", "tier", tiers[tier].name, "usable",
				 tried->state == WALK_YES ? "yes" : "no", "reason",
				 out_reason_json(&tried->reason));
	const struct apply_result *applied = &tried->applied;

	if (tried->state != WALK_YES)
		return json;
	json_object_update_new(
		json, json_pack("{s:s, s:i, s:s, s:s, s:b}", "outcome",
				outcome_name(tried->outcome), "program_id",
				(int)tried->attachment.program_id, "tag", tried->attachment.tag,
				"mode", tried->attachment.dispatcher ? "dispatcher" : "direct",
				"stack", tried->attachment.stack.mode != STACK_NONE));
	json_object_set_new(json, "config",
			    !applied->generation ?
				    json_null() :
				    json_pack("{s:i, s:b, s:i, s:O?}", "generation",
					      (int)applied->generation, "changed", applied->changed,
					      "servers", (int)applied->n_servers, "unresolved",
					      applied->unresolved));
	return json;
}

/* Answers of nat servers would be lost: the same for every tier. */
static void tell_shut(const char *interface, const struct walk *walk, json_t *list)
{
	const char *shut = "";
	char text[WAYBACK_SWITCH + sizeof(WAYBACK_TEXT)];
	char hint[WAYBACK_SWITCH + sizeof(WAYBACK_HINT)];

	for (enum tier tier = 0; tier < TIER_COUNT; tier++)
		if (walk->tiers[tier].state == WALK_YES && walk->tiers[tier].applied.shut[0])
			shut = walk->tiers[tier].applied.shut;
	if (!shut[0])
		return;
	snprintf(text, sizeof(text), WAYBACK_TEXT, shut);
	snprintf(hint, sizeof(hint), WAYBACK_HINT, shut);
	if (!out.json)
		log_warn("%s: %s; %s", interface, text, hint);
	json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "code", "forwarding-off", "text",
					      text, "hint", hint));
}

/* What to know of the tier that is attached now. New reference; each on stderr too, but for --json. */
static json_t *tell_warnings(const char *interface, const struct walk *walk)
{
	struct probe_warning warnings[PROBE_GENERIC_WARNINGS];
	json_t *list = json_array();
	struct reason ignored;
	struct nic nic;
	size_t n = 0;

	if (walk->tiers[TIER_GENERIC].state == WALK_YES && !nic_read(interface, &nic, &ignored))
		n = probe_warn_generic(&nic, warnings);
	for (size_t i = 0; i < n; i++) {
		if (!out.json)
			log_warn("%s: %s; %s", interface, warnings[i].text, warnings[i].hint);
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s}", "code", warnings[i].code, "text",
						warnings[i].text, "hint", warnings[i].hint));
	}
	tell_shut(interface, walk, list);
	return list;
}

static void walk_json(const char *interface, const char *path, const struct walk *walk,
		      const struct reason *reason, int status)
{
	json_t *list = json_array(), *attached = json_array(), *document;
	enum tier tier;

	for (tier = 0; tier < TIER_COUNT; tier++) {
		if (walk->tiers[tier].state == WALK_UNTRIED)
			continue;
		json_array_append_new(list, walk_tier_json(tier, &walk->tiers[tier]));
		if (walk->tiers[tier].state == WALK_YES)
			json_array_append_new(attached, json_string(tiers[tier].name));
	}
	document = json_pack("{s:s, s:o, s:o, s:o, s:o, s:b, s:o}", "schema", "shunt/attach/1",
			     "interface", out_string(interface), "tiers", list, "attached",
			     attached, "config", path_json(path), "dry_run", 0, "warnings",
			     tell_warnings(interface, walk));
	if (status) {
		json_object_set_new(document, "error", out_reason_json(reason));
		json_object_set_new(document, "exit", json_integer(status));
	}
	out_json(document);
}

/* Without a file: what packets meet now. */
static void print_kept(const char *interface, const struct walk *walk)
{
	struct config *config = NULL;
	uint32_t generation = 0;
	struct reason ignored = {};
	enum tier tier;

	for (tier = 0; tier < TIER_COUNT; tier++)
		if (walk->tiers[tier].state == WALK_YES && !config)
			sync_read(&walk->tiers[tier].attachment.maps, &config, NULL, &generation,
				  &ignored);
	if (config)
		out_text("%s: keeps generation %u\n", interface, generation);
	else
		log_info(
			"%s: no configuration given: every packet passes until loader apply -c FILE",
			interface);
	config_free(config);
}

/* Ways that are not known, once: they are the same for every tier. */
static void print_applied(const char *interface, const struct walk *walk)
{
	const struct walk_tier *tried;
	json_t *server;
	enum tier tier;
	size_t i;

	for (tier = TIER_COUNT; tier-- > 0;) {
		tried = &walk->tiers[tier];
		if (tried->state != WALK_YES || !tried->applied.generation)
			continue;
		out_text("%s: generation %u, %u servers, %u of them without a way\n", interface,
			 tried->applied.generation, tried->applied.n_servers,
			 tried->applied.n_unresolved);
		json_array_foreach(tried->applied.unresolved, i, server)
			log_warn("pools.%s.servers.%s: %s: %s",
				 json_string_value(json_object_get(server, "pool")),
				 json_string_value(json_object_get(server, "server")),
				 json_string_value(json_object_get(server, "address")),
				 json_string_value(json_object_get(server, "problem")));
		return;
	}
}

/* A tier that was asked for and cannot be had is 3, also where nobody knows the reason's name. */
static int walk_status(const struct walk_request *request, const struct reason *reason)
{
	bool wanted = request->only != TIER_NONE || request->require != TIER_NONE;

	return wanted && reason->code == REASON_UNKNOWN ? 3 : reason_exit(reason);
}

static int attach(const struct walk_request *request, const char *path)
{
	struct reason reason = {};
	struct walk walk;
	int status = 0;

	if (walk_tiers(request, &walk, &reason))
		status = walk_status(request, &reason);
	if (reason.code == REASON_NO_INTERFACE || reason.code == REASON_NO_PERMISSION ||
	    reason.code == REASON_NO_BPFFS || reason.code == REASON_DEVICE_GONE ||
	    reason.code == REASON_USAGE) {
		out_fail(&reason); /* nothing that a table of tiers would say better */
	} else if (out.json) {
		walk_json(request->interface, path, &walk, &reason, status);
	} else {
		print_walk(&walk);
		if (status)
			out_fail(&reason);
		else if (path)
			print_applied(request->interface, &walk);
		else
			print_kept(request->interface, &walk);
		json_decref(tell_warnings(request->interface, &walk));
	}
	walk_free(&walk);
	return status;
}

static bool dry_run_takes(const struct walk_request *request, const struct probe *probe,
			  enum tier tier)
{
	if (request->only != TIER_NONE)
		return tier == request->only && probe->tiers[tier].usable != PROBE_NO;
	return probe_chooses(probe, tier) &&
	       (request->require == TIER_NONE || tier <= request->require ||
		probe->tiers[TIER_OFFLOAD].usable == PROBE_YES);
}

static int dry_run(const struct walk_request *request, const char *path)
{
	static const char *const usable[] = { "no", "yes", "unknown" };
	const struct probe_options options = { .sizes = request->options.sizes,
					       .floor = request->options.floor };
	json_t *list = json_array(), *would = json_array();
	struct out_table *table;
	struct reason reason = {};
	struct probe probe = {};
	enum tier tier;
	bool any;

	if (attach_check_rights(&reason) ||
	    probe_interface(request->interface, &options, &probe, &reason)) {
		json_decref(list);
		json_decref(would);
		return out_fail(&reason);
	}
	table = begin_table();
	for (tier = 0; tier < TIER_COUNT; tier++) {
		const struct probe_tier *found = &probe.tiers[tier];

		if (dry_run_takes(request, &probe, tier))
			json_array_append_new(would, json_string(tiers[tier].name));
		json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "tier", tiers[tier].name,
						      "usable", usable[found->usable], "reason",
						      out_reason_json(&found->reason)));
		if (found->usable == PROBE_YES)
			add_row(table, OUT_GOOD, tiers[tier].name, "yes", probe_text(found), "");
		else
			add_reason(table, tiers[tier].name, usable[found->usable],
				   probe_text(found), &found->reason);
	}
	out_table_end(table);
	any = json_array_size(would);
	if (any)
		out_text("%s: would attach %s%s%s\n", request->interface,
			 json_string_value(json_array_get(would, 0)),
			 json_array_size(would) > 1 ? " + " : "",
			 json_array_size(would) > 1 ? json_string_value(json_array_get(would, 1)) :
						      "");
	else
		out_text("%s: would attach nothing\n", request->interface);
	out_json(json_pack("{s:s, s:o, s:o, s:o, s:o, s:b}", "schema", "shunt/attach/1",
			   "interface", out_string(request->interface), "tiers", list, "attached",
			   would, "config", path_json(path), "dry_run", 1));
	return any ? 0 : 3;
}

static int run_attach(const struct cli_common *common, const void *options, int argc, char **argv)
{
	const struct attach_arguments *arguments = options;
	bool given = common->config_given || !access(common->config, F_OK);
	struct walk_request request;
	struct config *config = NULL;
	int status;

	(void)argc;
	status = given ? report_load(common->config, &config) : 0;
	if (status)
		return status;
	walk_request_init(&request, argv[0], config);
	request.options.replace = arguments->replace;
	request.options.reload = arguments->reload;
	status = read_tier(arguments->tier, &request.only);
	if (!status)
		status = read_tier(arguments->require, &request.require);
	if (!status)
		status = arguments->dry_run ? dry_run(&request, given ? common->config : NULL) :
					      attach(&request, given ? common->config : NULL);
	config_free(config);
	return status;
}

/* 0, 1 if something was there, or -errno. */
static int detach_one(const char *interface, enum tier only, json_t *done, struct reason *reason)
{
	struct reason none = {};
	enum tier tier;
	int found = 0, error;

	for (tier = 0; tier < TIER_COUNT; tier++) {
		if (only != TIER_NONE && tier != only)
			continue;
		error = attach_detach(interface, tier, reason);
		if (error && reason->code == REASON_NOT_ATTACHED) {
			*reason = none;
			continue;
		}
		if (error)
			return error;
		found = 1;
		out_text("%s: %s detached\n", interface, tiers[tier].name);
		json_array_append_new(done, json_pack("{s:s, s:s}", "interface", interface, "tier",
						      tiers[tier].name));
	}
	return found;
}

static int detach(const char *interface, enum tier only, json_t *done, struct reason *reason)
{
	char(*names)[IF_NAMESIZE];
	size_t n, i;
	int error;

	if (interface)
		return detach_one(interface, only, done, reason);
	error = pins_interfaces(&names, &n, reason);
	for (i = 0; error >= 0 && i < n; i++)
		error = detach_one(names[i], only, done, reason);
	free(names);
	return error;
}

static int run_detach(const struct cli_common *common, const void *options, int argc, char **argv)
{
	const struct detach_arguments *arguments = options;
	const char *interface = argc ? argv[0] : NULL;
	enum tier only = TIER_NONE;
	struct reason reason = {};
	json_t *done = json_array();
	int cleaned, error, status;

	(void)common;
	status = read_tier(arguments->tier, &only);
	if (!status && !interface != arguments->all)
		status = out_usage("detach", "name an interface, or --all");
	if (status)
		goto out;
	cleaned = attach_clean(interface, &reason);
	error = cleaned < 0 ? cleaned : detach(interface, only, done, &reason);
	if (error >= 0 && !json_array_size(done))
		error = reason_set(&reason, REASON_NOT_ATTACHED, "detach", 0, "%s",
				   interface ? interface : "--all");
	if (error < 0)
		status = out_fail(&reason);
	else
		out_json(json_pack("{s:s, s:O, s:i}", "schema", "shunt/detach/1", "detached", done,
				   "cleaned", cleaned));
out:
	json_decref(done);
	return status;
}

static const struct cli_option attach_options[] = {
	{ 't', "tier", CLI_STRING, offsetof(struct attach_arguments, tier), "TIER",
	  "only this tier (offload, driver, generic, userspace), or auto" },
	{ 0, "require", CLI_STRING, offsetof(struct attach_arguments, require), "TIER",
	  "fail rather than attach below this tier" },
	{ 0, "replace", CLI_FLAG, offsetof(struct attach_arguments, replace), NULL,
	  "take the place of a program that is not ours" },
	{ 0, "reload", CLI_FLAG, offsetof(struct attach_arguments, reload), NULL,
	  "new programs and maps even if ours are there" },
	{ 'n', "dry-run", CLI_FLAG, offsetof(struct attach_arguments, dry_run), NULL,
	  "only say what would be attached" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

static const struct cli_option detach_options[] = {
	{ 't', "tier", CLI_STRING, offsetof(struct detach_arguments, tier), "TIER",
	  "only this tier" },
	{ 0, "all", CLI_FLAG, offsetof(struct detach_arguments, all), NULL,
	  "from every interface; also removes pins of interfaces that are gone" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_attach = {
	.name = "attach",
	.arguments = "IFACE",
	.summary = "attach the best tiers the interface has, and apply the file",
	.details = "Tries offload, then driver, then generic, and says why of each that it cannot "
		   "use. A second attach\nadopts what is there. A program of somebody else stays "
		   "where it is unless --replace is given.\nThe tier userspace does nothing by "
		   "itself: loader run serves it.",
	.options = attach_options,
	.options_size = sizeof(struct attach_arguments),
	.min_arguments = 1,
	.max_arguments = 1,
	.acts = true,
	.run = run_attach,
};

const struct cli_command cmd_detach = {
	.name = "detach",
	.arguments = "IFACE | --all",
	.summary = "take shunt's programs off, and leave the rest as it is",
	.options = detach_options,
	.options_size = sizeof(struct detach_arguments),
	.min_arguments = 0,
	.max_arguments = 1,
	.acts = true,
	.run = run_detach,
};
