/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The figures as tables for people, with what they were measured on.
 */
#include "results.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>

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

struct surroundings look_around(void)
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

/* One row of the table: cases that differ in their connections alone. */
static const uint32_t columns[] = { 1, 4000, 64000, BENCH_CONNECTIONS };

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static bool same_row(const struct bench_case *a, const struct bench_case *b)
{
	return !strcmp(a->name, b->name) && a->tier == b->tier && a->hook == b->hook &&
	       a->bed == b->bed && a->version == b->version;
}

static bool is_first_of_row(const struct measurement *measurement, uint32_t position)
{
	for (uint32_t i = 0; i < position; i++)
		if (same_row(measurement->list[i].what, measurement->list[position].what))
			return false;
	return true;
}

static void print_row(FILE *out, const struct measurement *measurement,
		      const struct bench_case *what)
{
	fprintf(out, "%-20s %-8s %-7s v%-2d", what->name, case_place(what), bed_modes[what->bed],
		what->version);
	for (size_t column = 0; column < N_COLUMNS; column++) {
		const struct measured *found = NULL;

		for (uint32_t i = 0; i + 1 < measurement->n; i++)
			if (same_row(measurement->list[i].what, what) &&
			    measurement->list[i].what->connections == columns[column])
				found = &measurement->list[i];
		if (found)
			fprintf(out, "%10.1f", found->net_figure.median);
		else
			fprintf(out, "%10s", "");
	}
	fprintf(out, "\n");
}

static void print_kernel(FILE *out, const struct measurement *measurement)
{
	fprintf(out, "%-20s %-8s %-7s %-3s%40s\n%-40s", "net ns a packet", "tier", "mode", "in",
		"connections", "");
	for (size_t i = 0; i < N_COLUMNS; i++)
		fprintf(out, "%10u", columns[i]);
	fprintf(out, "\n");
	for (uint32_t i = 0; i + 1 < measurement->n; i++)
		if (is_first_of_row(measurement, i))
			print_row(out, measurement, measurement->list[i].what);
	fprintf(out,
		"\nnet: CPU time above bare XDP_TX in the same harness and round, median of %u rounds\n"
		"noise: the first case, measured twice a round, differs by %+.1f ns "
		"(p10 %+.1f, p90 %+.1f)\n\n",
		measurement->rounds, measurement->noise.median, measurement->noise.low,
		measurement->noise.high);
}

static void print_control(FILE *out, const struct control *control)
{
	fprintf(out, "%-56s %9s %9s\n", "control", "", "CPU");
	for (uint32_t i = 0; i < control->n; i++) {
		const struct control_figure *figure = &control->list[i];

		fprintf(out, "%-56s %9.1f", figure->text, figure->value);
		if (figure->cpu > 0)
			fprintf(out, " %9.1f", figure->cpu);
		fprintf(out, " %s\n", figure->unit);
	}
	fprintf(out,
		"\ntimes: on the clock, the lowest of %u rounds, and that round's CPU time\n\n",
		control->rounds);
}

static void print_aims(FILE *out, const struct results *results)
{
	struct aim list[AIMS_MAX];
	uint32_t n = aims_collect(results, list);

	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%-56s %8.*f %-3s  (aim: at %s %g)%s\n", list[i].text,
			strcmp(list[i].unit, "x") ? 1 : 2, list[i].got, list[i].unit,
			list[i].at_least ? "least" : "most", list[i].bound,
			aim_reached(&list[i]) ? "" : "  missed");
}

void report_table(FILE *out, const struct results *results)
{
	struct surroundings around = look_around();

	fprintf(out, "%s  Linux %s  %s\n%s, %u servers\n\n", around.date, around.kernel,
		around.processor, bench_compiler, BENCH_SERVERS);
	if (results->kernel.n)
		print_kernel(out, &results->kernel);
	if (results->veth)
		veth_table(out, results->veth);
	if (results->control)
		print_control(out, results->control);
	if (results->sizes)
		size_table(out, results->sizes);
	print_aims(out, results);
}
