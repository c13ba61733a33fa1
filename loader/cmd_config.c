/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * check, diff and apply: the file alone, against what runs, and into what runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "attach.h"
#include "cli.h"
#include "config.h"
#include "log.h"
#include "out.h"
#include "report.h"

#define EXIT_CONFIG	 6
#define EXIT_DIFFERS	 8
#define WAIT_SECONDS	 3
#define WAIT_SECONDS_MAX 600

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

/* What is attached anywhere: 0, or the exit status after it was reported. */
static int list_attached(struct attachment **list, size_t *n)
{
	struct reason reason = {};

	*list = NULL;
	*n = 0;
	if (attach_list(NULL, list, n, &reason))
		return out_fail(&reason);
	if (*n)
		return 0;
	attach_list_free(*list, *n);
	*list = NULL;
	reason_set(&reason, REASON_NOT_ATTACHED, "attachment", 0, NULL);
	return out_fail(&reason);
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
		status = list_attached(&list, &n);
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

struct apply_options {
	bool dry_run;
	const char *wait;
};

/* --wait in milliseconds, -EINVAL if it is no number of seconds. */
static int wait_ms(const char *text)
{
	char *end;
	long seconds;

	if (!text)
		return WAIT_SECONDS * 1000;
	seconds = strtol(text, &end, 10);
	if (end == text || *end || seconds < 0 || seconds > WAIT_SECONDS_MAX)
		return -EINVAL;
	return seconds * 1000;
}

static void warn_unresolved(const char *where, json_t *unresolved)
{
	json_t *server;
	size_t i;

	json_array_foreach(unresolved, i, server)
		log_warn("%s: no way to %s/%s (%s): %s", where,
			 json_string_value(json_object_get(server, "pool")),
			 json_string_value(json_object_get(server, "server")),
			 json_string_value(json_object_get(server, "address")),
			 json_string_value(json_object_get(server, "problem")));
}

static void print_applied(struct out_table *table, const struct attachment *attachment,
			  const struct apply_result *result, bool dry_run)
{
	char where[40], generation[16], servers[16], unresolved[16], changes[24];
	const char *cells[] = {
		attachment->interface,
		tiers[attachment->tier].name,
		generation,
		servers,
		unresolved,
		changes,
		!result->changed ? "nothing to do" :
		dry_run		 ? "would change" :
				   "applied",
	};

	snprintf(where, sizeof(where), "%s %s", cells[0], cells[1]);
	snprintf(generation, sizeof(generation), "%u", result->generation);
	snprintf(servers, sizeof(servers), "%u", result->n_servers);
	snprintf(unresolved, sizeof(unresolved), "%u", result->n_unresolved);
	snprintf(changes, sizeof(changes), "%zu", json_array_size(result->changes));
	out_table_row(table, result->n_unresolved ? OUT_WARN : OUT_GOOD, cells);
	warn_unresolved(where, result->unresolved);
}

/* One tier. *json: its part of the document. 0, or the exit status of a failure, reported. */
static int apply_one(const struct attachment *attachment, const struct config *config,
		     int timeout_ms, bool dry_run, struct out_table *table, json_t **json)
{
	const char *tier = tiers[attachment->tier].name;
	struct apply_result result = {};
	struct reason reason = {};
	int status = 0;

	if (apply_config(attachment, config, timeout_ms, dry_run, &result, &reason)) {
		status = reason_exit(&reason) ? reason_exit(&reason) : 1;
		if (!out.json)
			out_fail(&reason);
		*json = json_pack("{s:s, s:s, s:o}", "interface", attachment->interface, "tier",
				  tier, "error", out_reason_json(&reason));
	} else {
		print_applied(table, attachment, &result, dry_run);
		*json = json_pack("{s:s, s:s, s:n, s:b, s:I, s:I, s:O?, s:O?}", "interface",
				  attachment->interface, "tier", tier, "error", "changed",
				  result.changed, "generation", (json_int_t)result.generation,
				  "servers", (json_int_t)result.n_servers, "unresolved",
				  result.unresolved, "changes", result.changes);
	}
	apply_result_free(&result);
	return status;
}

static int apply_all(const char *file, const struct config *config, const struct attachment *list,
		     size_t n, int timeout_ms, bool dry_run)
{
	static const char *const headings[] = { "interface", "tier",	    ">generation",
						">servers",  ">unresolved", ">changes",
						"" };
	struct out_table *table = out_table_begin(7, headings);
	json_t *applied = json_array(), *one;
	int status = 0, failed;

	for (size_t i = 0; i < n; i++) {
		failed = apply_one(&list[i], config, timeout_ms, dry_run, table, &one);
		status = status ? status : failed;
		json_array_append_new(applied, one);
	}
	out_table_end(table);
	out_json(json_pack("{s:s, s:o, s:b, s:o, s:i}", "schema", "shunt/apply/1", "file",
			   out_string(file), "dry_run", dry_run, "applied", applied, "exit",
			   status));
	return status;
}

static int run_apply(const struct cli_common *common, const void *opaque, int argc, char **argv)
{
	const struct apply_options *options = opaque;
	int timeout_ms = wait_ms(options->wait), status;
	struct attachment *list = NULL;
	struct config *config = NULL;
	struct reason reason = {};
	size_t n = 0;

	(void)argc;
	(void)argv;
	if (timeout_ms < 0) {
		reason_set(&reason, REASON_USAGE, "arguments", 0, "--wait %s", options->wait);
		reason_set_hint(&reason, "seconds, 0 to %d", WAIT_SECONDS_MAX);
		return out_fail(&reason);
	}
	status = report_load(common->config, &config);
	if (!status && attach_check_rights(&reason))
		status = out_fail(&reason);
	if (!status)
		status = list_attached(&list, &n);
	if (!status)
		status = apply_all(common->config, config, list, n, timeout_ms, options->dry_run);
	attach_list_free(list, n);
	config_free(config);
	return status;
}

static const struct cli_option apply_table[] = {
	{ 'n', "dry-run", CLI_FLAG, offsetof(struct apply_options, dry_run), NULL,
	  "say what would change, and change nothing" },
	{ 0, "wait", CLI_STRING, offsetof(struct apply_options, wait), "SECONDS",
	  "how long to wait for the neighbours of servers (default 3)" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

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

const struct cli_command cmd_apply = {
	.name = "apply",
	.arguments = "",
	.summary = "bring the file into everything that is attached",
	.details =
		"No program is attached or replaced. A file with errors is refused whole; a tier\n"
		"that fails keeps what it had. Servers without a known way get no packets until\n"
		"the next apply, or at once under shunt run.",
	.options = apply_table,
	.options_size = sizeof(struct apply_options),
	.run = run_apply,
};
