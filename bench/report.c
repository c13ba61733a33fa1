/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The figures as a table and as JSON, with what they were measured on.
 */
#include "bench.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

/* What issue and README promise, as a difference or a quotient of two cases' net medians. */
struct aim {
	const char *text;
	enum frame_kind of, from;
	uint32_t of_connections, from_connections;
	double ns; /* at most above; 0: a quotient */
	double times;
};

static const struct aim aims[] = {
	{ "single pass above clear, 1 connection", FRAME_SINGLE, FRAME_CLEAR, 1, 1, 60, 0 },
	{ "single pass above clear, 512,000", FRAME_SINGLE, FRAME_CLEAR, BENCH_CONNECTIONS,
	  BENCH_CONNECTIONS, 60, 0 },
	{ "three encrypts above clear, 1 connection", FRAME_THREE, FRAME_CLEAR, 1, 1, 170, 0 },
	{ "three encrypts above clear, 512,000", FRAME_THREE, FRAME_CLEAR, BENCH_CONNECTIONS,
	  BENCH_CONNECTIONS, 170, 0 },
	{ "clear, 512,000 connections against 1", FRAME_CLEAR, FRAME_CLEAR, BENCH_CONNECTIONS, 1, 0,
	  1.2 },
	{ "clear, 512,000 connections against 4,000", FRAME_CLEAR, FRAME_CLEAR, BENCH_CONNECTIONS,
	  4000, 0, 1.1 },
	{ "single pass, 512,000 connections against 1", FRAME_SINGLE, FRAME_SINGLE,
	  BENCH_CONNECTIONS, 1, 0, 1.2 },
	{ "three encrypts, 512,000 connections against 1", FRAME_THREE, FRAME_THREE,
	  BENCH_CONNECTIONS, 1, 0, 1.2 },
};

static const struct measured *find(const struct measurement *measurement, enum frame_kind frames,
				   uint32_t connections)
{
	for (uint32_t i = 0; i + 1 < measurement->n; i++) {
		const struct bench_case *what = measurement->list[i].what;

		if (what->frames == frames && what->connections == connections &&
		    what->bed == BED_IPIP4 && what->version == 4 && what->tier == TIER_DRIVER)
			return &measurement->list[i];
	}
	return NULL;
}

/* false: its cases were not measured. */
static bool reach(const struct measurement *measurement, const struct aim *aim, double *got)
{
	const struct measured *of = find(measurement, aim->of, aim->of_connections);
	const struct measured *from = find(measurement, aim->from, aim->from_connections);

	if (!of || !from)
		return false;
	if (aim->ns > 0)
		*got = measure_difference(measurement, of, from).median;
	else
		*got = of->net_figure.median / from->net_figure.median;
	return true;
}

/* The processor's name as the kernel has it. */
static void read_processor(char *name, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(name, size, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		char *value = strchr(line, ':');

		if (!value || strncmp(line, "model name", 10) != 0)
			continue;
		value[strcspn(value, "\n")] = '\0';
		snprintf(name, size, "%s", value + 2);
		break;
	}
	if (file)
		fclose(file);
}

struct surroundings {
	char date[32], kernel[160], processor[128];
};

static struct surroundings look_around(void)
{
	struct surroundings around;
	struct utsname system = {};
	time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(around.date, sizeof(around.date), "%Y-%m-%dT%H:%M:%SZ", &utc);
	uname(&system);
	snprintf(around.kernel, sizeof(around.kernel), "%s %s", system.release, system.machine);
	read_processor(around.processor, sizeof(around.processor));
	return around;
}

void report_table(FILE *out, const struct measurement *measurement)
{
	struct surroundings around = look_around();
	double got;

	fprintf(out, "%s  Linux %s  %s\n%s, %u servers, %u rounds\n\n", around.date, around.kernel,
		around.processor, bench_compiler, BENCH_SERVERS, measurement->rounds);
	fprintf(out, "%-15s %-8s %-8s %-3s %11s %9s %7s %7s %9s\n", "routed by", "tier", "mode",
		"in", "connections", "net ns", "p10", "p90", "with bare");
	for (uint32_t i = 0; i + 1 < measurement->n; i++) {
		const struct measured *m = &measurement->list[i];

		fprintf(out, "%-15s %-8s %-8s v%-2d %11u %9.1f %7.1f %7.1f %9.1f\n", m->what->name,
			tiers[m->what->tier].name, bed_modes[m->what->bed], m->what->version,
			m->what->connections, m->net_figure.median, m->net_figure.low,
			m->net_figure.high, m->gross_figure.median);
	}
	fprintf(out,
		"\nnet: CPU time a packet above bare XDP_TX in the same harness and round, median\n"
		"noise: the first case, measured twice a round, differs by %+.1f ns "
		"(p10 %+.1f, p90 %+.1f)\n\n",
		measurement->noise.median, measurement->noise.low, measurement->noise.high);
	for (size_t i = 0; i < sizeof(aims) / sizeof(aims[0]); i++) {
		if (!reach(measurement, &aims[i], &got))
			continue;
		if (aims[i].ns > 0)
			fprintf(out, "%-46s %+7.1f ns  (aim: at most %+.0f)\n", aims[i].text, got,
				aims[i].ns);
		else
			fprintf(out, "%-46s x %5.2f     (aim: at most %.1f)\n", aims[i].text, got,
				aims[i].times);
	}
}

static double rounded(double value)
{
	return round(value * 100) / 100;
}

static json_t *figure_json(const struct figure *figure)
{
	return json_pack("{s:f, s:f, s:f}", "p10", rounded(figure->low), "median",
			 rounded(figure->median), "p90", rounded(figure->high));
}

static json_t *case_json(const struct measured *measured)
{
	const struct bench_case *what = measured->what;

	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:o, s:o}", "routed_by", what->name, "tier",
			 tiers[what->tier].name, "mode", bed_modes[what->bed], "ip_version",
			 what->version, "connections", (json_int_t)what->connections, "net_ns",
			 figure_json(&measured->net_figure), "gross_ns",
			 figure_json(&measured->gross_figure));
}

static json_t *aims_json(const struct measurement *measurement)
{
	json_t *list = json_array();
	double got;

	for (size_t i = 0; i < sizeof(aims) / sizeof(aims[0]); i++)
		if (reach(measurement, &aims[i], &got))
			json_array_append_new(
				list,
				json_pack("{s:s, s:s, s:f, s:f}", "what", aims[i].text, "unit",
					  aims[i].ns > 0 ? "ns" : "ratio", "got", rounded(got),
					  "at_most", aims[i].ns > 0 ? aims[i].ns : aims[i].times));
	return list;
}

int report_json(const char *path, const struct measurement *measurement)
{
	struct surroundings around = look_around();
	json_t *cases = json_array(), *document;
	int error = 0;

	for (uint32_t i = 0; i + 1 < measurement->n; i++)
		json_array_append_new(cases, case_json(&measurement->list[i]));
	document = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:o}", "schema",
			     "shunt/bench/1", "date", around.date, "kernel", around.kernel,
			     "processor", around.processor, "compiler", bench_compiler, "servers",
			     BENCH_SERVERS, "rounds", (json_int_t)measurement->rounds, "noise_ns",
			     figure_json(&measurement->noise), "cases", cases, "aims",
			     aims_json(measurement));
	if (!document)
		return -ENOMEM;
	if (json_dump_file(document, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)))
		error = errno ? -errno : -EIO;
	json_decref(document);
	return error;
}
