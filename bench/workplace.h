/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the bench runs the loader and others: a folder, and a BPF file system that nobody else sees.
 */
#ifndef BENCH_WORKPLACE_H
#define BENCH_WORKPLACE_H

#include <linux/limits.h>

#include "reason.h"

struct workplace {
	char folder[32]; /* "": it is not open */
	char loader[PATH_MAX]; /* the program beside this one */
};

/* The calling process moves to a mount namespace of its own. */
int workplace_open(struct workplace *workplace, struct reason *reason);
/* With all files in the folder. */
void workplace_close(struct workplace *workplace);

#endif
