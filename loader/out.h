/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only writer of stdout: aligned tables for people, one JSON document for machines. Fetches
 * nothing itself.
 */
#ifndef SHUNT_OUT_H
#define SHUNT_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "reason.h"

enum out_color { OUT_PLAIN, OUT_GOOD, OUT_BAD, OUT_WARN, OUT_DIM, OUT_BOLD };

struct out {
	bool json;
	bool quiet; /* text is nobody's wish */
	bool pretty;
	bool color; /* stdout is a terminal and NO_COLOR is not set, or --color=always */
};

extern struct out out;

/* when: "auto", "always", "never". */
void out_init(bool json, bool pretty, const char *when);

/* Text; nothing at all with --json, or where it is not wished for. */
void out_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A table: out_table_row() copies its cells, out_table_end() prints all of them aligned (numbers,
 * i.e. cells of a column whose heading begins with '>', to the right) and frees. No-op with --json.
 */
struct out_table;
struct out_table *out_table_begin(size_t columns, const char *const *headings);
void out_table_row(struct out_table *table, enum out_color color, const char *const *cells);
void out_table_end(struct out_table *table);

/*
 * Prints the document if --json and drops the reference either way. NULL, which is what json_pack()
 * makes of text that is not UTF-8 or of too little memory: an error document, and out_finish() fails.
 */
void out_json(json_t *document);
/* One JSON object on one line (trace, decode -): printed only with --json; drops the reference. */
void out_json_line(json_t *object);

/*
 * Anybody's text (names of files, arguments) as a JSON string: octets that are not UTF-8 are shown
 * as \xff. New reference.
 */
json_t *out_string(const char *text);

/* {"code":…, "stage":…, "errno":…, "kernel":…, "text":…, "hint":…}; json_null() for REASON_NONE. */
json_t *out_reason_json(const struct reason *reason);

/*
 * A failure: one line on stderr ("shunt: WHAT: TEXT (kernel: …); HINT"), or with --json the one
 * document {"error": {...}} on stdout. Returns the exit status to leave main with.
 */
int out_fail(const struct reason *reason);
/* The same for a command line that makes no sense: what is wrong, how it should be. Returns 2. */
int out_usage(const char *what, const char *hint);

/* Once, after everything: the exit status, no longer 0 if output did not get to where it should. */
int out_finish(int status);

/* Packets and octets as people read them ("1.24M", "3.1 GB"); buffer of 16. Returns buffer. */
const char *out_count(char *buffer, unsigned long long count);
const char *out_octets(char *buffer, unsigned long long octets);

#endif
