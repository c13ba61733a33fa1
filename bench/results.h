/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All that a run has found, and how it is shown.
 */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "bench.h"
#include "control/control.h"
#include "size/size.h"
#include "veth/veth.h"

struct results {
	struct measurement kernel;
	struct veth *veth; /* NULL: not asked for */
	struct control *control; /* NULL: not asked for */
	struct sizes *sizes; /* NULL: not asked for */
};

/* aims.c: what is promised, and what was found. */
#define AIMS_MAX 64

struct aim {
	char text[96];
	const char *unit; /* "ns", "x", "MiB", "ms" */
	double got, bound;
	bool at_least; /* the bound; else at most */
};

/* Those whose cases were measured; list has room for AIMS_MAX. Returns how many. */
uint32_t aims_collect(const struct results *results, struct aim *list);
bool aim_reached(const struct aim *aim);
/* veth/report.c: those of them that are its. */
uint32_t veth_aims(const struct veth *veth, struct aim *list);

/* veth/report.c: its part of the table. */
void veth_table(FILE *out, const struct veth *veth);

/* report.c, report_json.c, chart.c. 0 or -errno. */
struct surroundings {
	char date[32], kernel[160], processor[128];
};

struct surroundings look_around(void);
void report_table(FILE *out, const struct results *results);
int report_json(const char *path, const struct results *results);
int chart_svg(const char *path, const struct results *results);

#endif
