/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What each program takes of the kernel and of a card, by each compiler, and what it may take.
 */
#ifndef BENCH_SIZE_H
#define BENCH_SIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "reason.h"

#define SIZE_ROWS_MAX 48
#define SIZE_ROUNDS   5 /* at most */
#define SIZE_BUDGETS  "ci/budgets.tsv" /* from the root of the tree */

/* What has a budget, in the order of the file's columns. */
enum size_measure { SIZE_VERIFIED, SIZE_STACK, SIZE_JITED, SIZE_WORDS, SIZE_MEASURES };

struct budget {
	uint32_t line; /* in the file; 0: it is not there */
	char object[16], compiler[16];
	uint32_t limits[SIZE_MEASURES]; /* 0: none */
};

struct budgets {
	const char *path;
	uint32_t n;
	struct budget list[SIZE_ROWS_MAX];
};

/* One load in its parts, ms. */
struct size_load {
	double open; /* the object read */
	double maps; /* they and the types into the kernel, and the program linked with them */
	double program; /* verified and compiled */
	double verification; /* of that, what the kernel calls so; 0: it does not say */
};

struct size_row {
	char object[16], compiler[16];
	uint32_t figures[SIZE_MEASURES]; /* 0: none, or the kernel does not say */
	uint32_t translated; /* octets of BPF as the verifier leaves it */
	uint32_t peak_states, total_states; /* of the verifier; 0: the kernel does not say */
	struct size_load lowest; /* the load that took least */
	double median; /* of all loads, ms */
};

struct sizes {
	uint32_t rounds, n;
	struct size_row list[SIZE_ROWS_MAX];
	struct budgets budgets;
};

/* Of the objects in size/ beside the bench; `rounds` is set. 0 or -errno and the reason. */
int size_measure(struct sizes *sizes, const char *budgets, struct reason *reason);

/* note.c: what `make size-objects` noted of an object from the file alone, into the row. */
int size_read_note(const char *path, struct size_row *row, struct reason *reason);

/* load.c: once, before the first load. */
int size_watch_loads(struct reason *reason);
/* What the kernel says of the program, with maps as small as in the object: they do change it a little. */
int size_ask(const char *path, struct size_row *row, struct reason *reason);
/* How long a load takes, with maps of the default limits. */
int size_time(const char *path, struct size_load *load, struct reason *reason);
double size_load_total(const struct size_load *load);

/* budget.c: the file of budgets. */
int budgets_read(const char *path, struct budgets *budgets, struct reason *reason);
/* NULL: no line for it. */
const struct budget *budget_of(const struct budgets *budgets, const struct size_row *row);
bool budget_over(const struct budget *budget, const struct size_row *row,
		 enum size_measure measure);
/*
 * What is to stand in the file: new limits where a figure has fallen far below the old one, or where there is
 * no line. False: the line that is there is good.
 */
bool budget_better(const struct budgets *budgets, const struct size_row *row,
		   struct budget *better);
void budget_print(FILE *out, const struct budget *budget);
/* Puts the better ones into the file. 0 or -errno. */
int budgets_write(const struct sizes *sizes);

/* show.c */
extern const char *const size_measures[SIZE_MEASURES];
void size_table(FILE *out, const struct sizes *sizes);
/* NULL: JSON's null. New reference. */
json_t *size_json(const struct sizes *sizes);

#endif
