/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Loads the configuration for a command that needs a valid one, or tells the user everything that
 * is wrong with it.
 */
#ifndef SHUNT_REPORT_H
#define SHUNT_REPORT_H

#include "config.h"

/* 0 and *config, or the exit status (6) after every error was reported. Warnings go to stderr. */
int report_load(const char *path, struct config **config);

/* [{"path": …, "text": …}] of the warnings, or of the errors. New reference. */
json_t *report_findings(const struct config_findings *findings, bool warnings);

struct attachment;

/* What is attached anywhere: 0, or the exit status (7: nothing) after it was reported. */
int report_attached(struct attachment **list, size_t *n);

#endif
