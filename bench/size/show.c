/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sizes as a table and as JSON, and what is to be said of their budgets.
 */
#include <math.h>

#include "size/size.h"

/* As the JSON names them. */
const char *const size_measures[SIZE_MEASURES] = { "verified", "stack", "jited", "words" };

static const char *const names[SIZE_MEASURES] = { "verified instructions", "octets of stack",
						  "octets of machine code", "words of microcode" };

static void print_number(FILE *out, int width, uint32_t number)
{
	if (number)
		fprintf(out, " %*u", width, number);
	else
		fprintf(out, " %*s", width, "-");
}

static void print_row(FILE *out, const struct size_row *row)
{
	const struct size_load *load = &row->lowest;

	fprintf(out, "%-8s %-8s", row->object, row->compiler);
	print_number(out, 8, row->figures[SIZE_VERIFIED]);
	print_number(out, 6, row->peak_states);
	print_number(out, 7, row->translated);
	print_number(out, 6, row->figures[SIZE_JITED]);
	print_number(out, 5, row->figures[SIZE_STACK]);
	print_number(out, 5, row->figures[SIZE_WORDS]);
	fprintf(out, "%8.1f %7.1f %6.1f %6.1f %7.1f %7.1f\n", size_load_total(load), row->median,
		load->open, load->maps, load->program, load->verification);
}

static void print_over(FILE *out, const struct budgets *budgets, const struct size_row *row)
{
	const struct budget *budget = budget_of(budgets, row);

	for (enum size_measure i = 0; budget && i < SIZE_MEASURES; i++)
		if (budget_over(budget, row, i))
			fprintf(out, "%s:%u: %s by %s takes %u %s, %u are allowed\n", budgets->path,
				budget->line, row->object, row->compiler, row->figures[i], names[i],
				budget->limits[i]);
}

static void print_better(FILE *out, const struct sizes *sizes)
{
	struct budget better;
	bool first = true;

	for (uint32_t i = 0; i < sizes->n; i++) {
		if (!budget_better(&sizes->budgets, &sizes->list[i], &better))
			continue;
		if (first)
			fprintf(out,
				"%s: lines that fit better, to paste, or by --write-budgets:\n",
				sizes->budgets.path);
		first = false;
		budget_print(out, &better);
	}
}

void size_table(FILE *out, const struct sizes *sizes)
{
	fprintf(out, "%-17s %8s %6s %14s %5s %5s %14s %24s\n", "sizes", "verified", "peak",
		"octets of code", "", "nfp", "load, ms", "the lowest in parts, ms");
	fprintf(out, "%-8s %-8s %8s %6s %7s %6s %5s %5s%8s %7s %6s %6s %7s %7s\n", "program", "by",
		"insns", "states", "BPF", "JIT", "stack", "words", "lowest", "median", "open",
		"maps", "program", "(check)");
	for (uint32_t i = 0; i < sizes->n; i++)
		print_row(out, &sizes->list[i]);
	fprintf(out,
		"\nload: with maps of the default limits, %u times; program: verified and compiled; "
		"(check): verification as the kernel counts it\n",
		sizes->rounds);
	for (uint32_t i = 0; i < sizes->n; i++)
		print_over(out, &sizes->budgets, &sizes->list[i]);
	print_better(out, sizes);
	fprintf(out, "\n");
}

static double rounded(double value)
{
	return round(value * 1000) / 1000;
}

static json_t *number_json(uint32_t number)
{
	return number ? json_integer(number) : json_null();
}

static json_t *budget_json(const struct budget *budget)
{
	json_t *limits = budget ? json_object() : json_null();

	for (size_t i = 0; budget && i < SIZE_MEASURES; i++)
		json_object_set_new(limits, size_measures[i], number_json(budget->limits[i]));
	return limits;
}

static json_t *row_json(const struct budgets *budgets, const struct size_row *row)
{
	const struct size_load *load = &row->lowest;
	json_t *object = json_pack("{s:s, s:s}", "program", row->object, "compiler", row->compiler);

	for (size_t i = 0; i < SIZE_MEASURES; i++)
		json_object_set_new(object, size_measures[i], number_json(row->figures[i]));
	json_object_set_new(object, "translated", json_integer(row->translated));
	json_object_set_new(object, "peak_states", number_json(row->peak_states));
	json_object_set_new(object, "total_states", number_json(row->total_states));
	json_object_set_new(object, "load_ms",
			    json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "lowest",
				      rounded(size_load_total(load)), "median",
				      rounded(row->median), "open", rounded(load->open), "maps",
				      rounded(load->maps), "program", rounded(load->program),
				      "verification", rounded(load->verification)));
	json_object_set_new(object, "budget", budget_json(budget_of(budgets, row)));
	return object;
}

json_t *size_json(const struct sizes *sizes)
{
	json_t *list = sizes ? json_array() : json_null();

	for (uint32_t i = 0; sizes && i < sizes->n; i++)
		json_array_append_new(list, row_json(&sizes->budgets, &sizes->list[i]));
	return list;
}
