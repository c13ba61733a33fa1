/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is promised of the figures, as differences and quotients within one run.
 */
#include "results.h"

#include <string.h>

/* Of two cases' net medians, in the driver tier, by ipip over IPv4. */
static const struct {
	const char *text, *of, *from; /* from: NULL, what it costs at all */
	uint32_t of_connections, from_connections;
	double ns; /* at most above; 0: a quotient */
	double times;
} kernel_aims[] = {
	{ "clear, 512,000 connections: net", "clear", NULL, BENCH_CONNECTIONS, 0, 75, 0 },
	{ "hash fallback: net", "hash fallback", NULL, BENCH_CONNECTIONS, 0, 100, 0 },
	{ "single pass above clear", "single pass", "clear", 1, 1, 50, 0 },
	{ "three encrypts above clear", "three encrypts", "clear", 1, 1, 140, 0 },
	{ "clear, 512,000 connections against 1", "clear", "clear", BENCH_CONNECTIONS, 1, 0, 1.2 },
	{ "clear, 512,000 connections against 4,000", "clear", "clear", BENCH_CONNECTIONS, 4000, 0,
	  1.1 },
	{ "single pass, 512,000 connections against 1", "single pass", "single pass",
	  BENCH_CONNECTIONS, 1, 0, 1.2 },
	{ "three encrypts, 512,000 connections against 1", "three encrypts", "three encrypts",
	  BENCH_CONNECTIONS, 1, 0, 1.2 },
	{ "spoofed above the budget against untracked", "spoofed, no budget", "spoofed, untracked",
	  1, 1, 0, 1.5 },
	{ "the same beside 64,000 known flows", "spoofed, no budget", "spoofed, untracked", 64000,
	  64000, 0, 1.5 },
	{ "the same beside 512,000 known flows", "spoofed, no budget", "spoofed, untracked",
	  BENCH_CONNECTIONS, BENCH_CONNECTIONS, 0, 1.5 },
};

#define N_KERNEL_AIMS (sizeof(kernel_aims) / sizeof(kernel_aims[0]))

static const struct measured *find(const struct measurement *measurement, const char *name,
				   uint32_t connections)
{
	for (uint32_t i = 0; i + 1 < measurement->n; i++) {
		const struct bench_case *what = measurement->list[i].what;

		if (!strcmp(what->name, name) && what->connections == connections &&
		    !strcmp(bed_modes[what->bed], "ipip/4") && what->version == 4 &&
		    what->tier == TIER_DRIVER && what->hook == HOOK_XDP)
			return &measurement->list[i];
	}
	return NULL;
}

static uint32_t collect_kernel(const struct measurement *measurement, struct aim *list)
{
	uint32_t n = 0;

	for (size_t i = 0; i < N_KERNEL_AIMS; i++) {
		const struct measured *of =
			find(measurement, kernel_aims[i].of, kernel_aims[i].of_connections);
		const struct measured *from = kernel_aims[i].from ?
						      find(measurement, kernel_aims[i].from,
							   kernel_aims[i].from_connections) :
						      NULL;
		struct aim *aim = &list[n];

		if (!of || (kernel_aims[i].from && !from))
			continue;
		*aim = (struct aim){ .unit = "ns", .bound = kernel_aims[i].ns };
		snprintf(aim->text, sizeof(aim->text), "%s", kernel_aims[i].text);
		if (!from)
			aim->got = of->net_figure.median;
		else if (kernel_aims[i].ns > 0)
			aim->got = measure_difference(measurement, of, from).median;
		else
			aim->got = of->net_figure.median / from->net_figure.median;
		if (kernel_aims[i].times > 0) {
			aim->unit = "x";
			aim->bound = kernel_aims[i].times;
		}
		n++;
	}
	return n;
}

static uint32_t collect_control(const struct control *control, struct aim *list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < control->n; i++) {
		const struct control_figure *figure = &control->list[i];

		if (figure->at_most <= 0)
			continue;
		list[n] = (struct aim){ .unit = figure->unit,
					.got = figure->value,
					.bound = figure->at_most };
		snprintf(list[n].text, sizeof(list[n].text), "%s", figure->text);
		n++;
	}
	return n;
}

uint32_t aims_collect(const struct results *results, struct aim *list)
{
	uint32_t n = collect_kernel(&results->kernel, list);

	if (results->veth)
		n += veth_aims(results->veth, list + n);
	if (results->control)
		n += collect_control(results->control, list + n);
	return n;
}

bool aim_reached(const struct aim *aim)
{
	return aim->at_least ? aim->got >= aim->bound : aim->got <= aim->bound;
}
