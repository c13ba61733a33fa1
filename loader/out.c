/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tables, JSON documents and failures on their way to the user.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "out.h"

struct out out;

static bool broken; /* a document could not be made */

static const char *const colors[] = {
	[OUT_PLAIN] = "",	 [OUT_GOOD] = "\033[32m", [OUT_BAD] = "\033[31m",
	[OUT_WARN] = "\033[33m", [OUT_DIM] = "\033[2m",	  [OUT_BOLD] = "\033[1m",
};

#define COLUMNS_MAX 16

struct out_table {
	size_t columns, rows, room;
	bool right[COLUMNS_MAX];
	size_t width[COLUMNS_MAX];
	enum out_color *color; /* of each row */
	char **cells; /* rows * columns */
};

void out_init(bool json, bool pretty, const char *when)
{
	out.json = json;
	out.pretty = pretty;
	out.color = !strcmp(when, "always") ||
		    (!strcmp(when, "auto") && isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
}

void out_text(const char *format, ...)
{
	va_list arguments;

	if (out.json || out.quiet)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
}

static void table_add(struct out_table *table, enum out_color color, const char *const *cells)
{
	if (table->rows == table->room) {
		size_t room = table->room ? table->room * 2 : 16;
		char **grown = realloc(table->cells, room * table->columns * sizeof(*grown));
		enum out_color *shades;

		if (!grown)
			return;
		table->cells = grown;
		shades = realloc(table->color, room * sizeof(*shades));
		if (!shades)
			return;
		table->color = shades;
		table->room = room;
	}
	for (size_t i = 0; i < table->columns; i++) {
		const char *cell = cells[i] ? cells[i] : "";
		size_t length = strlen(cell);

		table->cells[table->rows * table->columns + i] = strdup(cell);
		if (length > table->width[i])
			table->width[i] = length;
	}
	table->color[table->rows++] = color;
}

struct out_table *out_table_begin(size_t columns, const char *const *headings)
{
	const char *plain[COLUMNS_MAX];
	struct out_table *table;

	if (out.json || out.quiet || columns > COLUMNS_MAX)
		return NULL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	table->columns = columns;
	for (size_t i = 0; i < columns; i++) {
		table->right[i] = headings[i][0] == '>';
		plain[i] = headings[i] + table->right[i];
	}
	table_add(table, OUT_BOLD, plain);
	return table;
}

void out_table_row(struct out_table *table, enum out_color color, const char *const *cells)
{
	if (table)
		table_add(table, color, cells);
}

/* Columns that no row has anything in are left out; returns the last one that is printed. */
static size_t hide_empty(const struct out_table *table, bool *shown)
{
	size_t last = 0;

	for (size_t i = 0; i < table->columns; i++) {
		shown[i] = table->rows < 2;
		for (size_t row = 1; row < table->rows && !shown[i]; row++)
			shown[i] = table->cells[row * table->columns + i] &&
				   table->cells[row * table->columns + i][0];
		if (shown[i])
			last = i;
	}
	return last;
}

static void print_row(const struct out_table *table, size_t row, const bool *shown, size_t last)
{
	bool colored = out.color && table->color[row] != OUT_PLAIN;

	if (colored)
		fputs(colors[table->color[row]], stdout);
	for (size_t i = 0; i <= last; i++) {
		const char *cell = table->cells[row * table->columns + i];

		if (!shown[i])
			continue;
		if (table->right[i])
			printf("%*s%s", (int)table->width[i], cell ? cell : "",
			       i == last ? "" : "  ");
		else if (i == last)
			printf("%s", cell ? cell : "");
		else
			printf("%-*s  ", (int)table->width[i], cell ? cell : "");
	}
	printf("%s\n", colored ? "\033[0m" : "");
}

void out_table_end(struct out_table *table)
{
	bool shown[COLUMNS_MAX] = {};
	size_t last;

	if (!table)
		return;
	last = hide_empty(table, shown);
	for (size_t row = 0; row < table->rows; row++)
		print_row(table, row, shown, last);
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->color);
	free(table);
}

/* The octets of the UTF-8 character at text; 0: there is none. Jansson knows which are valid. */
static size_t character(const char *text)
{
	unsigned char lead = (unsigned char)text[0];
	size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	json_t *valid = strnlen(text, n) == n ? json_stringn(text, n) : NULL;

	json_decref(valid);
	return valid ? n : 0;
}

/* What is neither UTF-8 nor printable as \x and two digits. The caller frees it; NULL: no memory. */
static char *escaped(const char *text)
{
	char *result = malloc(4 * strlen(text) + 1), *to = result;

	while (result && *text) {
		size_t n = iscntrl((unsigned char)*text) ? 0 : character(text);

		if (n)
			to = mempcpy(to, text, n);
		else
			to += sprintf(to, "\\x%02x", (unsigned char)*text);
		text += n ? n : 1;
	}
	if (result)
		*to = '\0';
	return result;
}

json_t *out_string(const char *text)
{
	json_t *json = json_string(text);
	char *shown;

	if (json)
		return json;
	shown = escaped(text);
	json = json_string(shown ? shown : "?");
	free(shown);
	return json;
}

static void dump(json_t *document, size_t flags)
{
	static const char no_document[] =
		"{\"schema\": \"shunt/error/1\", \"error\": {\"code\": \"unknown\", \"stage\": \"output\", "
		"\"errno\": null, \"kernel\": null, \"what\": null, \"text\": \"failed\", "
		"\"hint\": \"the result cannot be put in JSON\"}, \"exit\": 1}";

	if (!out.json)
		return;
	if (!document || json_dumpf(document, stdout, flags | JSON_PRESERVE_ORDER)) {
		broken = true;
		fputs(no_document, stdout);
	}
	putchar('\n');
}

void out_json(json_t *document)
{
	dump(document, out.pretty ? JSON_INDENT(2) : 0);
	json_decref(document);
}

void out_json_line(json_t *object)
{
	dump(object, JSON_COMPACT);
	json_decref(object);
}

int out_finish(int status)
{
	int error = fflush(stdout) ? errno : 0;

	if (!error && !ferror(stdout))
		return broken && !status ? 1 : status;
	log_error("stdout: output was lost%s%s", error ? ": " : "", error ? strerror(error) : "");
	return status ? status : 1;
}

static json_t *text_or_null(const char *text)
{
	return text && text[0] ? out_string(text) : json_null();
}

json_t *out_reason_json(const struct reason *reason)
{
	if (reason->code == REASON_NONE)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:o}", "code",
			 reason_code_name(reason->code), "stage", text_or_null(reason->stage),
			 "errno", text_or_null(reason_errno_name(reason->error)), "kernel",
			 text_or_null(reason->kernel), "what", text_or_null(reason->what), "text",
			 reason_text(reason->code), "hint", text_or_null(reason_hint(reason)));
}

static void print_reason(const struct reason *reason)
{
	const char *hint = reason_hint(reason), *kernel = reason_kernel(reason);
	char *what = escaped(reason->what);

	if (reason->code == REASON_USAGE && reason->hint[0]) {
		log_error("%s: %s", what ? what : "", hint); /* says it all */
		free(what);
		return;
	}
	log_error("%s%s%s%s%s%s%s%s", what ? what : "", reason->what[0] ? ": " : "",
		  reason_text(reason->code), kernel[0] ? " (kernel: " : "", kernel,
		  kernel[0] ? ")" : "", hint[0] ? "; " : "", hint);
	free(what);
}

int out_fail(const struct reason *reason)
{
	int status = reason_exit(reason);

	if (out.json)
		out_json(json_pack("{s:s, s:o, s:i}", "schema", "shunt/error/1", "error",
				   out_reason_json(reason), "exit", status));
	else
		print_reason(reason);
	return status;
}

int out_usage(const char *what, const char *hint)
{
	struct reason reason = {};

	reason_set(&reason, REASON_USAGE, "usage", 0, "%s", what);
	reason_set_hint(&reason, "%s", hint);
	return out_fail(&reason);
}

static const char *scaled(char *buffer, double value, const char *const *units)
{
	size_t unit = 0;

	while (value >= 999.5 && units[unit + 1]) {
		value /= 1000;
		unit++;
	}
	snprintf(buffer, 16, unit && value < 99.95 ? "%.1f%s" : "%.0f%s", value, units[unit]);
	return buffer;
}

const char *out_count(char *buffer, unsigned long long count)
{
	static const char *const units[] = { "", "k", "M", "G", "T", NULL };

	return scaled(buffer, (double)count, units);
}

const char *out_octets(char *buffer, unsigned long long octets)
{
	static const char *const units[] = { " B", " kB", " MB", " GB", " TB", NULL };

	return scaled(buffer, (double)octets, units);
}
