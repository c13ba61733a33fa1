/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader run: the service in the foreground.
 */
#include <errno.h>
#include <stdlib.h>

#include "attach.h"
#include "cli.h"
#include "out.h"
#include "report.h"
#include "run.h"

#define MAX_WAIT 3600

struct run_arguments {
	const char *wait;
};

static int wait_ms(const char *text, int *ms)
{
	struct reason reason = {};
	char *end;
	long seconds = 0;

	errno = 0;
	if (text)
		seconds = strtol(text, &end, 10);
	if (text && (errno || end == text || *end || seconds < 0 || seconds > MAX_WAIT)) {
		reason_set(&reason, REASON_USAGE, "usage", 0, "%s", text);
		reason_set_hint(&reason, "--wait takes 0 to %d seconds", MAX_WAIT);
		return out_fail(&reason);
	}
	*ms = (int)seconds * 1000;
	return 0;
}

static int no_interfaces(const char *path)
{
	struct reason reason = {};

	reason_set(&reason, REASON_CONFIG, "config", 0, "%s: interfaces", path);
	reason_set_hint(&reason, "name the interfaces that the service attaches");
	return out_fail(&reason);
}

static int run(const struct cli_common *common, const void *options, int argc, char **argv)
{
	const struct run_arguments *arguments = options;
	struct run_request request = { .path = common->config };
	struct reason reason = {};
	json_t *interfaces;
	int status = wait_ms(arguments->wait, &request.wait_ms);

	(void)argc;
	(void)argv;
	if (!status)
		status = report_load(common->config, &request.config);
	if (status)
		return status;
	if (!request.config->n_interfaces) {
		config_free(request.config);
		return no_interfaces(common->config);
	}
	interfaces = json_array();
	for (uint32_t i = 0; i < request.config->n_interfaces; i++)
		json_array_append_new(interfaces, json_string(request.config->interfaces[i].name));
	if (attach_check_rights(&reason)) {
		config_free(request.config);
		status = out_fail(&reason);
	} else if (run_service(&request, &reason)) {
		status = out_fail(&reason);
	} else {
		out_json(json_pack("{s:s, s:O, s:o}", "schema", "shunt/run/1", "interfaces",
				   interfaces, "config", out_string(common->config)));
	}
	json_decref(interfaces);
	return status;
}

static const struct cli_option run_options[] = {
	{ 0, "wait", CLI_STRING, offsetof(struct run_arguments, wait), "SECONDS",
	  "at the start, for interfaces that are not there yet (default 0)" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_run = {
	.name = "run",
	.arguments = "",
	.summary = "the service: attach, apply, follow routes and neighbours",
	.details =
		"Stays in the foreground. SIGHUP reads the file again; a file with errors changes nothing.\n"
		"What apply brought from the file meanwhile is taken over; what it brought from another\n"
		"file is left alone, with a warning, until SIGHUP.\n"
		"SIGTERM ends the service and leaves the data path as it is.",
	.options = run_options,
	.options_size = sizeof(struct run_arguments),
	.run = run,
};
