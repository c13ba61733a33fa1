/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What one attached tier runs, read from its maps and named as its file names it. Prints nothing.
 */
#ifndef SHUNT_VIEW_H
#define SHUNT_VIEW_H

#include "attach.h"

/* One attached tier, read. */
struct view {
	const struct attachment *attachment;
	const struct attachment *card; /* of the same interface, above this host tier; NULL: none */
	struct config *config;
	struct plan_numbers *numbers;
	uint32_t generation;
	struct lb_generation tables;
	uint32_t *rows; /* of all pools, each with tables.row_mask + 1 of them */
	uint32_t n_servers;
	const uint32_t *number; /* of each server, by position */
	uint32_t *shares; /* rows a server has, by number */
	struct lb_server *servers; /* by number */
};

/* 0, also if nothing was applied: then config is NULL. view_free() in either case. */
int view_read(const struct attachment *attachment, struct view *view, struct reason *reason);
void view_free(struct view *view);
/* Rows that each pool has. */
uint32_t view_rows(const struct view *view);

#endif
