/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * apply: the file into everything that is attached.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "cli.h"
#include "log.h"
#include "out.h"
#include "report.h"

#define WAIT_SECONDS	 3
#define WAIT_SECONDS_MAX 600

struct apply_options {
	bool dry_run, force;
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
	if (result->shut[0])
		log_warn("%s: " WAYBACK_TEXT "; " WAYBACK_HINT, where, result->shut, result->shut);
}

/* One tier. *json: its part of the document. 0, or the exit status of a failure, reported. */
static int apply_one(const struct attachment *attachment, const struct config *config,
		     const struct apply_request *request, struct out_table *table, json_t **json)
{
	const char *tier = tiers[attachment->tier].name;
	struct apply_result result = {};
	struct reason reason = {};
	int status = 0;

	if (apply_config(attachment, config, request, &result, &reason)) {
		status = reason_exit(&reason) ? reason_exit(&reason) : 1;
		if (!out.json)
			out_fail(&reason);
		*json = json_pack("{s:s, s:s, s:o}", "interface", attachment->interface, "tier",
				  tier, "error", out_reason_json(&reason));
	} else {
		print_applied(table, attachment, &result, request->dry_run);
		*json = json_pack("{s:s, s:s, s:n, s:b, s:I, s:I, s:O?, s:O?, s:o}", "interface",
				  attachment->interface, "tier", tier, "error", "changed",
				  result.changed, "generation", (json_int_t)result.generation,
				  "servers", (json_int_t)result.n_servers, "unresolved",
				  result.unresolved, "changes", result.changes, "forwarding_off",
				  result.shut[0] ? json_string(result.shut) : json_null());
	}
	apply_result_free(&result);
	return status;
}

/* Whether the changes that a tier took, or would take, are a step of a rotation. */
static bool touches_configs(json_t *applied)
{
	json_t *change;
	size_t i;

	json_array_foreach(json_object_get(applied, "changes"), i, change)
		if (!strncmp(json_string_value(json_object_get(change, "path")), "cid_configs", 11))
			return true;
	return false;
}

/* The order of the draft's section 3.1: whoever decodes knows a config before anybody issues it. */
static void print_order(bool dry_run)
{
	out_text("\nrotating CID configs:\n"
		 "  1. balancers   %s\n"
		 "  2. servers     loader server-config NAME says what each must be told\n"
		 "  3. retire      the old config leaves the file when loader show configs says\n"
		 "                 that it can be removed; until then it is state: retiring\n",
		 dry_run ? "apply this file on all of them" :
			   "done here; apply this file on all of them");
}

static int apply_all(const char *file, const struct config *config, const struct attachment *list,
		     size_t n, const struct apply_request *request)
{
	static const char *const headings[] = { "interface", "tier",	    ">generation",
						">servers",  ">unresolved", ">changes",
						"" };
	struct out_table *table = out_table_begin(7, headings);
	json_t *applied = json_array(), *one;
	bool rotates = false;
	int status = 0, failed;

	for (size_t i = 0; i < n; i++) {
		failed = apply_one(&list[i], config, request, table, &one);
		rotates |= touches_configs(one);
		status = status ? status : failed;
		json_array_append_new(applied, one);
	}
	out_table_end(table);
	if (rotates && !status)
		print_order(request->dry_run);
	out_json(json_pack("{s:s, s:o, s:b, s:o, s:i}", "schema", "shunt/apply/1", "file",
			   out_string(file), "dry_run", request->dry_run, "applied", applied,
			   "exit", status));
	return status;
}

static int run_apply(const struct cli_common *common, const void *opaque, int argc, char **argv)
{
	const struct apply_options *options = opaque;
	struct apply_request request = {
		.timeout_ms = wait_ms(options->wait),
		.dry_run = options->dry_run,
		.list_changes = true,
		.force = options->force,
	};
	int status;
	struct attachment *list = NULL;
	struct config *config = NULL;
	struct reason reason = {};
	size_t n = 0;

	(void)argc;
	(void)argv;
	if (request.timeout_ms < 0) {
		reason_set(&reason, REASON_USAGE, "arguments", 0, "--wait %s", options->wait);
		reason_set_hint(&reason, "seconds, 0 to %d", WAIT_SECONDS_MAX);
		return out_fail(&reason);
	}
	status = report_load(common->config, &config);
	if (!status && attach_check_rights(&reason))
		status = out_fail(&reason);
	if (!status)
		status = report_attached(&list, &n);
	if (!status)
		status = apply_all(common->config, config, list, n, &request);
	attach_list_free(list, n);
	config_free(config);
	return status;
}

static const struct cli_option apply_table[] = {
	{ 'n', "dry-run", CLI_FLAG, offsetof(struct apply_options, dry_run), NULL,
	  "say what would change, and change nothing" },
	{ 'f', "force", CLI_FLAG, offsetof(struct apply_options, force), NULL,
	  "also drop or change a CID config that packets still use" },
	{ 0, "wait", CLI_STRING, offsetof(struct apply_options, wait), "SECONDS",
	  "how long to wait for the neighbours of servers (default 3)" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
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
	.acts = true,
	.run = run_apply,
};
