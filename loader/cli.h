/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Options and commands as tables: getopt, help, man page, completion and errors come from them.
 * Does not read files.
 */
#ifndef SHUNT_CLI_H
#define SHUNT_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "reason.h"

enum cli_type { CLI_FLAG, CLI_STRING, CLI_NUMBER /* from 1 on */, CLI_LIST };

#ifndef SHUNT_VERSION
#define SHUNT_VERSION "0.1.0"
#endif

#define CLI_LIST_MAX 64
struct cli_list {
	size_t n;
	const char *items[CLI_LIST_MAX];
};

/* One option of a command. offset: into the command's own option struct (bool, const char *, long,
 * struct cli_list). metavar NULL for flags. */
struct cli_option {
	char letter; /* 0: long form only */
	const char *name;
	enum cli_type type;
	size_t offset;
	const char *metavar;
	const char *help;
};

/* Options every command takes. */
struct cli_common {
	bool json, pretty, quiet;
	int verbose;
	const char *color;
	const char *config; /* -c */
	bool config_given;
};

struct cli_command {
	const char *name;
	const char *arguments; /* for the usage line: "[IFACE]" */
	const char *summary; /* one line */
	const char *details; /* for help COMMAND and the man page; may be NULL */
	const struct cli_option *options; /* ends with name NULL; may be NULL */
	size_t options_size; /* of the option struct, zeroed for the command */
	int min_arguments, max_arguments;
	bool acts; /* its result is what it did: --quiet leaves that out, too */
	/* common, options: filled in; argv: what is left. Returns the exit status. */
	int (*run)(const struct cli_common *common, const void *options, int argc, char **argv);
};

extern const struct cli_command *const commands[]; /* main.c; ends with NULL */
extern const struct cli_option cli_common_options[]; /* ends with name NULL */

/* NULL: there is none of that name. */
const struct cli_command *cli_find_command(const char *name);

/* Parses argv, runs the command, returns the exit status. */
int cli_main(int argc, char **argv);

#endif
