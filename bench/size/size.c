/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finds the objects of all compilers and measures each.
 */
#include <errno.h>
#include <glob.h>
#include <linux/limits.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "size/size.h"

static const char *const objects[] = {
	"driver", "generic", "offload", "ingress", "egress", "decap"
};

#define N_OBJECTS (sizeof(objects) / sizeof(objects[0]))

static int take_times(const char *path, uint32_t rounds, struct size_row *row,
		      struct reason *reason)
{
	double totals[SIZE_ROUNDS];
	int error = 0;

	for (uint32_t i = 0; i < rounds && !error; i++) {
		struct size_load load;

		error = size_time(path, &load, reason);
		if (error)
			break;
		totals[i] = size_load_total(&load);
		if (!i || totals[i] < size_load_total(&row->lowest))
			row->lowest = load;
	}
	if (!error)
		row->median = figure_of(totals, rounds).median;
	return error;
}

/* The folder of a compiler is named after it. */
static int measure_object(struct sizes *sizes, const char *folder, const char *object,
			  struct reason *reason)
{
	struct size_row *row = &sizes->list[sizes->n];
	char path[PATH_MAX];
	int error;

	if (sizes->n == SIZE_ROWS_MAX)
		return reason_set(reason, REASON_UNKNOWN, "size", E2BIG, "%s", folder);
	snprintf(row->object, sizeof(row->object), "%s", object);
	snprintf(row->compiler, sizeof(row->compiler), "%s", strrchr(folder, '/') + 1);
	snprintf(path, sizeof(path), "%s/bpf/%s.bpf.o", folder, object);
	error = size_read_note(path, row, reason);
	if (!error)
		error = size_ask(path, row, reason);
	if (!error)
		error = take_times(path, sizes->rounds, row, reason);
	if (!error)
		sizes->n++;
	return error;
}

static int find_compilers(glob_t *found, struct reason *reason)
{
	char place[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", place, sizeof(place) - sizeof("/size/clang-*"));

	if (n < 0)
		return reason_set(reason, REASON_UNKNOWN, "size", errno, "/proc/self/exe");
	place[n] = '\0';
	strcpy(strrchr(place, '/'), "/size/clang-*");
	if (glob(place, 0, NULL, found))
		return reason_set(reason, REASON_UNKNOWN, "size", ENOENT,
				  "%s: run `make size-objects` first", place);
	return 0;
}

int size_measure(struct sizes *sizes, const char *budgets, struct reason *reason)
{
	glob_t compilers = {};
	int error = budgets_read(budgets, &sizes->budgets, reason);

	if (!error)
		error = size_watch_loads(reason);
	if (!error)
		error = find_compilers(&compilers, reason);
	if (error)
		return error;
	for (size_t i = 0; i < N_OBJECTS; i++)
		for (size_t k = 0; k < compilers.gl_pathc && !error; k++)
			error = measure_object(sizes, compilers.gl_pathv[k], objects[i], reason);
	globfree(&compilers);
	return error;
}
