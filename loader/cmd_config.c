/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * check and diff: the file alone, and against what runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "cli.h"
#include "config.h"
#include "log.h"
#include "out.h"
#include "report.h"

#define EXIT_CONFIG  6
#define EXIT_DIFFERS 8

static void print_findings(const char *file, const struct config_findings *findings)
{
	for (uint32_t i = 0; i < findings->n; i++) {
		const struct config_finding *finding = &findings->list[i];

		out_text("%s: %s%s%s%s\n", file, finding->warning ? "warning: " : "", finding->path,
			 finding->path[0] ? ": " : "", finding->text);
	}
}

static void print_summary(const char *file, const struct config *config,
			  const struct config_findings *findings)
{
	uint32_t warnings = findings->n - findings->errors, servers = 0;

	if (!config) {
		out_text("%s: not valid, %u error%s\n", file, findings->errors,
			 findings->errors == 1 ? "" : "s");
		return;
	}
	for (uint32_t i = 0; i < config->n_pools; i++)
		servers += config->pools[i].n_servers;
	out_text("%s: valid, %u warning%s; VIPs %u, pools %u, servers %u, CID configs %u\n", file,
		 warnings, warnings == 1 ? "" : "s", config->n_vips, config->n_pools, servers,
		 config->n_cids);
}

static int run_check(const struct cli_common *common, const void *options, int argc, char **argv)
{
	const char *file = argc ? argv[0] : common->config;
	struct config_findings findings = {};
	struct config *config = NULL;
	int error = config_load(file, &config, &findings);

	(void)options;
	print_findings(file, &findings);
	print_summary(file, config, &findings);
	out_json(json_pack("{s:s, s:o, s:b, s:o, s:o}", "schema", "shunt/check/1", "file",
			   out_string(file), "valid", !error, "errors",
			   report_findings(&findings, false), "warnings",
			   report_findings(&findings, true)));
	config_free(config);
	config_findings_free(&findings);
	return error ? EXIT_CONFIG : 0;
}

static const char *short_json(const json_t *value, char **buffer)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (!value || json_is_null(value))
		return "-";
	*buffer = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	return *buffer ? *buffer : "?";
}

static void print_change(struct out_table *table, const json_t *change)
{
	const char *what = json_string_value(json_object_get(change, "change"));
	const char *field = json_string_value(json_object_get(change, "field"));
	bool add = !strcmp(what, "add"), remove = !strcmp(what, "remove");
	char *before = NULL, *after = NULL;
	const char *cells[] = {
		add    ? "+" :
		remove ? "-" :
			 "~",
		json_string_value(json_object_get(change, "path")),
		field ? field : "",
		add ? "" : short_json(json_object_get(change, "before"), &before),
		remove ? "" : short_json(json_object_get(change, "after"), &after),
	};

	out_table_row(table, add ? OUT_GOOD : remove ? OUT_BAD : OUT_WARN, cells);
	free(before);
	free(after);
}

static void print_changes(json_t *changes)
{
	static const char *const headings[] = { "", "what", "field", "runs", "file" };
	struct out_table *table = out_table_begin(5, headings);
	json_t *change;
	size_t i;

	json_array_foreach(changes, i, change)
		print_change(table, change);
	out_table_end(table);
}

/* What the file would change in one tier. New reference, NULL with the reason. */
static json_t *diff_attached(const struct attachment *attachment, const struct config *config,
			     struct reason *reason)
{
	struct config *running = NULL;
	uint32_t generation = 0;
	json_t *changes;

	if (sync_read(&attachment->maps, &running, NULL, &generation, reason))
		return NULL;
	changes = config_diff(running, config);
	config_free(running);
	out_text("%s %s: generation %u, ", attachment->interface, tiers[attachment->tier].name,
		 generation);
	if (json_array_size(changes)) {
		out_text("%zu changes\n", json_array_size(changes));
		print_changes(changes);
	} else {
		out_text("no change\n");
	}
	return json_pack("{s:s, s:s, s:i, s:b, s:o}", "interface", attachment->interface, "tier",
			 tiers[attachment->tier].name, "generation", (int)generation, "differs",
			 json_array_size(changes) > 0, "changes", changes);
}

static int run_diff(const struct cli_common *common, const void *options, int argc, char **argv)
{
	struct attachment *list = NULL;
	struct config *config = NULL;
	struct reason reason = {};
	bool differs = false;
	json_t *attached = NULL, *one;
	size_t n = 0;
	int status;

	(void)options;
	(void)argc;
	(void)argv;
	status = report_load(common->config, &config);
	if (!status)
		status = report_attached(&list, &n);
	if (status)
		goto out;
	attached = json_array();
	for (size_t i = 0; i < n; i++) {
		one = diff_attached(&list[i], config, &reason);
		if (!one) {
			status = out_fail(&reason);
			goto out;
		}
		differs |= json_is_true(json_object_get(one, "differs"));
		json_array_append_new(attached, one);
	}
	out_json(json_pack("{s:s, s:o, s:b, s:O}", "schema", "shunt/diff/1", "file",
			   out_string(common->config), "differs", differs, "attached", attached));
	status = differs ? EXIT_DIFFERS : 0;
out:
	json_decref(attached);
	attach_list_free(list, n);
	config_free(config);
	return status;
}

const struct cli_command cmd_check = {
	.name = "check",
	.arguments = "[FILE]",
	.summary = "is the file valid? Every error at once, with its path",
	.details =
		"FILE is the -c file unless it is given; \"-\" is stdin. Exit status 6 with errors;\n"
		"warnings do not matter to it.",
	.max_arguments = 1,
	.run = run_check,
};

const struct cli_command cmd_diff = {
	.name = "diff",
	.arguments = "",
	.summary = "what apply would change in what is attached",
	.details = "Exit status 8 if anything differs, 7 if nothing is attached.",
	.run = run_diff,
};
