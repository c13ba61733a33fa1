/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tells what config_load() found: each finding a line on stderr, or one JSON document.
 */
#include <errno.h>

#include "attach.h"
#include "log.h"
#include "out.h"
#include "report.h"

json_t *report_findings(const struct config_findings *findings, bool warnings)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < findings->n; i++)
		if (findings->list[i].warning == warnings)
			json_array_append_new(list,
					      json_pack("{s:o, s:o}", "path",
							out_string(findings->list[i].path), "text",
							out_string(findings->list[i].text)));
	return list;
}

static void print_findings(const char *path, const struct config_findings *findings)
{
	for (uint32_t i = 0; i < findings->n; i++) {
		const struct config_finding *finding = &findings->list[i];
		const char *colon = finding->path[0] ? ": " : "";

		if (finding->warning)
			log_warn("%s: %s%s%s", path, finding->path, colon, finding->text);
		else
			log_error("%s: %s%s%s", path, finding->path, colon, finding->text);
	}
}

static int fail(const char *path, const struct config_findings *findings, int err)
{
	struct reason reason = {};
	json_t *error;

	reason_set(&reason, REASON_CONFIG, "config", err == -EINVAL ? 0 : -err, "%s", path);
	if (!out.json)
		return reason_exit(&reason);
	error = out_reason_json(&reason);
	json_object_set_new(error, "findings", report_findings(findings, false));
	out_json(json_pack("{s:s, s:o, s:i}", "schema", "shunt/error/1", "error", error, "exit",
			   reason_exit(&reason)));
	return reason_exit(&reason);
}

int report_load(const char *path, struct config **config)
{
	struct config_findings findings = {};
	int err = config_load(path, config, &findings), status = 0;

	if (!out.json || !err)
		print_findings(path, &findings);
	if (err)
		status = fail(path, &findings, err);
	config_findings_free(&findings);
	return status;
}

int report_attached(struct attachment **list, size_t *n)
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
