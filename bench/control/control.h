/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What it costs to control the data path: commands timed, memory counted.
 */
#ifndef BENCH_CONTROL_H
#define BENCH_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "reason.h"

#define CONTROL_MAX 16

struct control_figure {
	char text[80];
	const char *unit; /* "ms" or "MiB" */
	double value; /* ms: on the clock, the lowest of all rounds */
	double cpu; /* ms of CPU time in that round; 0: not counted */
	double at_most; /* aim; 0: none */
};

struct control {
	uint32_t rounds;
	uint32_t n;
	struct control_figure list[CONTROL_MAX];
};

int control_measure(struct control *control, struct reason *reason);

/* control_file.c: configuration files for the commands. */
struct control_file {
	uint32_t servers, flows;
	uint32_t changed; /* that server has another weight; UINT32_MAX: none */
	bool default_limits; /* else as many servers and ids as there are */
};

/* In a folder that is there, with the key file that it names. 0 or -errno. */
int control_file_write(const char *folder, const struct control_file *what);

/* command.c: other programs, timed. */
struct command_cost {
	double wall, cpu; /* ms */
};

/* Its result is not ours to show; it ends with us, however we end. -1: errno. */
pid_t command_start(char *const *arguments);
/* 0, -errno, or -ECANCELED if it failed: stderr has said why. */
int command_run(char *const *arguments, struct command_cost *cost);
/* Returns when it has told its service manager that it is ready, or -ETIMEDOUT, -errno. */
int command_start_service(const char *folder, char *const *arguments, pid_t *pid);
/* SIGTERM, and its end. */
void command_end(pid_t pid);

#endif
