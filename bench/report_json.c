/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The figures as JSON.
 */
#include "report_json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>

double json_rounded(double value)
{
	return round(value * 1000) / 1000;
}

json_t *figure_json(const struct figure *figure)
{
	return json_pack("{s:f, s:f, s:f}", "p10", json_rounded(figure->low), "median",
			 json_rounded(figure->median), "p90", json_rounded(figure->high));
}

static json_t *case_json(const struct measured *measured)
{
	const struct bench_case *what = measured->what;

	return json_pack("{s:s, s:s, s:s, s:b, s:i, s:I, s:o, s:o}", "routed_by", what->name,
			 "tier", case_place(what), "mode", bed_modes[what->bed], "tracked",
			 bed_tracks(what->bed), "ip_version", what->version, "connections",
			 (json_int_t)what->connections, "net_ns",
			 figure_json(&measured->net_figure), "gross_ns",
			 figure_json(&measured->gross_figure));
}

static json_t *kernel_json(const struct measurement *measurement)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i + 1 < measurement->n; i++)
		json_array_append_new(list, case_json(&measurement->list[i]));
	return list;
}

static json_t *control_json(const struct control *control)
{
	json_t *list = json_array();

	if (!control) {
		json_decref(list);
		return json_null();
	}
	for (uint32_t i = 0; i < control->n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:f, s:f}", "what", control->list[i].text,
					"unit", control->list[i].unit, "value",
					json_rounded(control->list[i].value), "cpu_ms",
					json_rounded(control->list[i].cpu)));
	return json_pack("{s:I, s:o}", "rounds", (json_int_t)control->rounds, "figures", list);
}

static json_t *aims_json(const struct results *results)
{
	struct aim aims[AIMS_MAX];
	uint32_t n = aims_collect(results, aims);
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:f, s:f, s:b}", "what", aims[i].text, "unit",
					aims[i].unit, "got", json_rounded(aims[i].got),
					aims[i].at_least ? "at_least" : "at_most", aims[i].bound,
					"reached", aim_reached(&aims[i])));
	return list;
}

int report_json(const char *path, const struct results *results)
{
	struct surroundings around = look_around();
	const struct measurement *kernel = &results->kernel;
	json_t *document;
	int error = 0;

	document = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
			     "schema", "shunt/bench/2", "date", around.date, "kernel",
			     around.kernel, "processor", around.processor, "compiler",
			     bench_compiler, "servers", BENCH_SERVERS, "rounds",
			     (json_int_t)kernel->rounds, "noise_ns", figure_json(&kernel->noise),
			     "cases", kernel_json(kernel), "veth", veth_json(results->veth),
			     "control", control_json(results->control), "sizes",
			     size_json(results->sizes), "aims", aims_json(results));
	if (!document)
		return -ENOMEM;
	if (json_dump_file(document, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)))
		error = errno ? -errno : -EIO;
	json_decref(document);
	return error;
}
