/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a driver tells the kernel's log only: the line that belongs to a refusal with a bare errno.
 */
#ifndef SHUNT_KERNEL_LOG_H
#define SHUNT_KERNEL_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* A reader of what comes from now on; close() it. -errno where it may not be read. */
int kernel_log_open(void);
/* Forgets what has come so far. */
void kernel_log_skip(int reader);
/*
 * The first line since then that names the subject (a driver, an interface) or BPF, and whose meaning
 * reason.h knows.
 */
bool kernel_log_find(int reader, const char *subject, char *line, size_t size);

#endif
