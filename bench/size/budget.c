/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads and writes the file of budgets, and says which have become too wide.
 */
#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "size/size.h"

/* Per cent above the figure: what a new limit is set to, and what an old one may be. */
#define ROOM	 20
#define ROOM_MAX 30

/* A limit is a multiple of the first, and what the kernel or the card itself allows is the second. */
static const struct {
	uint32_t step, most;
} measures[SIZE_MEASURES] = {
	[SIZE_VERIFIED] = { 100, 1000000 },
	[SIZE_STACK] = { 32, 512 },
	[SIZE_JITED] = { 100, UINT32_MAX },
	[SIZE_WORDS] = { 10, 2560 },
};

static bool parse_limit(const char *text, uint32_t *limit)
{
	char *end;

	*limit = strcmp(text, "-") ? (uint32_t)strtoul(text, &end, 10) : 0;
	return !strcmp(text, "-") || (*limit && !*end);
}

static bool parse_line(char *line, struct budget *budget)
{
	char *rest = line, *words[2 + SIZE_MEASURES];

	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < 2 + SIZE_MEASURES; i++) {
		words[i] = strsep(&rest, "\t");
		if (!words[i])
			return false;
	}
	snprintf(budget->object, sizeof(budget->object), "%s", words[0]);
	snprintf(budget->compiler, sizeof(budget->compiler), "%s", words[1]);
	for (size_t i = 0; i < SIZE_MEASURES; i++)
		if (!parse_limit(words[2 + i], &budget->limits[i]))
			return false;
	return !rest;
}

static int read_lines(FILE *file, struct budgets *budgets, struct reason *reason)
{
	uint32_t number = 0;
	char line[256];

	while (fgets(line, sizeof(line), file)) {
		struct budget *budget = &budgets->list[budgets->n];

		number++;
		if (*line == '#' || *line == '\n')
			continue;
		if (budgets->n == SIZE_ROWS_MAX || !parse_line(line, budget))
			return reason_set(reason, REASON_UNKNOWN, "size", EINVAL, "%s:%u",
					  budgets->path, number);
		budget->line = number;
		budgets->n++;
	}
	return 0;
}

int budgets_read(const char *path, struct budgets *budgets, struct reason *reason)
{
	FILE *file = fopen(path, "re");
	int error;

	budgets->path = path;
	if (!file)
		return reason_set(reason, REASON_UNKNOWN, "size", errno, "%s", path);
	error = read_lines(file, budgets, reason);
	fclose(file);
	return error;
}

const struct budget *budget_of(const struct budgets *budgets, const struct size_row *row)
{
	for (uint32_t i = 0; i < budgets->n; i++)
		if (!strcmp(budgets->list[i].object, row->object) &&
		    !strcmp(budgets->list[i].compiler, row->compiler))
			return &budgets->list[i];
	return NULL;
}

/* The limits of machine code are those of one kind of machine. */
static bool counts_here(enum size_measure measure)
{
#ifdef __x86_64__
	(void)measure;
	return true;
#else
	return measure != SIZE_JITED;
#endif
}

bool budget_over(const struct budget *budget, const struct size_row *row, enum size_measure measure)
{
	return counts_here(measure) && budget->limits[measure] &&
	       row->figures[measure] > budget->limits[measure];
}

static uint32_t new_limit(uint32_t figure, enum size_measure measure)
{
	uint64_t step = measures[measure].step;
	uint64_t limit = ((uint64_t)figure * (100 + ROOM) / 100 + step - 1) / step * step;

	return limit < measures[measure].most ? (uint32_t)limit : measures[measure].most;
}

static bool too_wide(uint32_t limit, uint32_t figure, enum size_measure measure)
{
	return counts_here(measure) && figure &&
	       (uint64_t)limit * 100 > (uint64_t)figure * (100 + ROOM_MAX) &&
	       new_limit(figure, measure) < limit;
}

bool budget_better(const struct budgets *budgets, const struct size_row *row, struct budget *better)
{
	const struct budget *budget = budget_of(budgets, row);
	bool found = !budget;

	*better = budget ? *budget : (struct budget){};
	snprintf(better->object, sizeof(better->object), "%s", row->object);
	snprintf(better->compiler, sizeof(better->compiler), "%s", row->compiler);
	for (enum size_measure i = 0; i < SIZE_MEASURES; i++) {
		uint32_t figure = row->figures[i];

		if (budget && !too_wide(budget->limits[i], figure, i))
			continue;
		better->limits[i] = figure && counts_here(i) ? new_limit(figure, i) : 0;
		found = true;
	}
	return found;
}

void budget_print(FILE *out, const struct budget *budget)
{
	fprintf(out, "%s\t%s", budget->object, budget->compiler);
	for (size_t i = 0; i < SIZE_MEASURES; i++)
		if (budget->limits[i])
			fprintf(out, "\t%u", budget->limits[i]);
		else
			fprintf(out, "\t-");
	fprintf(out, "\n");
}

/* The better budget of a line of the file; of line 0, the next from *from on that has no line. */
static bool find_better(const struct sizes *sizes, uint32_t line, uint32_t *from,
			struct budget *better)
{
	while (*from < sizes->n)
		if (budget_better(&sizes->budgets, &sizes->list[(*from)++], better) &&
		    better->line == line)
			return true;
	return false;
}

static void copy_lines(FILE *in, FILE *out, const struct sizes *sizes)
{
	struct budget better;
	uint32_t number = 0, from;
	char line[256];

	while (fgets(line, sizeof(line), in)) {
		number++;
		from = 0;
		if (find_better(sizes, number, &from, &better))
			budget_print(out, &better);
		else
			fputs(line, out);
	}
	from = 0;
	while (find_better(sizes, 0, &from, &better))
		budget_print(out, &better);
}

int budgets_write(const struct sizes *sizes)
{
	char path[PATH_MAX];
	FILE *in = fopen(sizes->budgets.path, "re"), *out;
	int error = 0;

	if (!in)
		return -errno;
	snprintf(path, sizeof(path), "%s.new", sizes->budgets.path);
	out = fopen(path, "we");
	if (out)
		copy_lines(in, out, sizes);
	fclose(in);
	if (!out || fclose(out) || rename(path, sizes->budgets.path))
		error = -errno;
	if (error)
		unlink(path);
	return error;
}
