/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * help, version and completion, from the tables of cli.h. Knows no map and no interface.
 */
#ifndef SHUNT_CMD_HELP_H
#define SHUNT_CMD_HELP_H

struct cli_command;

/* topic: a command, "reasons", or NULL for all of it. The exit status. */
int help_show(const char *topic);
void help_command(const struct cli_command *command);

extern const struct cli_command cmd_version; /* for --version */

#endif
