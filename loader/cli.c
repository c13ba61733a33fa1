/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Parses a command line by the tables of cli.h and runs the command.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cmd_help.h"
#include "config.h"
#include "log.h"
#include "out.h"

#define MAX_OPTIONS 48

const struct cli_option cli_common_options[] = {
	{ 'c', "config", CLI_STRING, offsetof(struct cli_common, config), "FILE",
	  "configuration file (default " CONFIG_DEFAULT_PATH ")" },
	{ 'j', "json", CLI_FLAG, offsetof(struct cli_common, json), NULL,
	  "one JSON document on stdout, failures included" },
	{ 'p', "pretty", CLI_FLAG, offsetof(struct cli_common, pretty), NULL,
	  "JSON, indented for people" },
	{ 'q', "quiet", CLI_FLAG, offsetof(struct cli_common, quiet), NULL,
	  "errors only; of what changes something not even the result" },
	{ 0, "color", CLI_STRING, offsetof(struct cli_common, color), "WHEN",
	  "colours in tables: auto, always or never" },
	{ 'v', "verbose", CLI_FLAG, 0, NULL, "say more; twice: also what the libraries say" },
	{ 'h', "help", CLI_FLAG, 0, NULL, "this help, or the command's" },
	{ 0, "version", CLI_FLAG, 0, NULL, "print the version" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

#define N_COMMON (sizeof(cli_common_options) / sizeof(cli_common_options[0]))

struct parse {
	struct cli_common *common;
	const struct cli_command *command; /* NULL: before the command */
	void *options;
	bool help, version;
};

const struct cli_command *cli_find_command(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/*
 * Options as getopt wants them; returns how many. ids: row of each, for its return value 256 + i.
 * The command's come first, for of two options of one name getopt takes the first: encode --config.
 */
static size_t getopt_tables(const struct parse *parse, struct option *longs, char *shorts,
			    const struct cli_option **rows)
{
	const struct cli_option *tables[] = { parse->command ? parse->command->options : NULL,
					      cli_common_options };
	size_t n = 0;

	shorts += sprintf(shorts, "%s:", parse->command ? "" : "+");
	for (size_t t = 0; t < 2; t++) {
		for (const struct cli_option *row = tables[t]; row && row->name && n < MAX_OPTIONS;
		     row++) {
			longs[n] = (struct option){
				.name = row->name,
				.has_arg = row->type == CLI_FLAG ? no_argument : required_argument,
				.val = 256 + (int)n,
			};
			if (row->letter)
				shorts += sprintf(shorts, "%c%s", row->letter,
						  row->type == CLI_FLAG ? "" : ":");
			rows[n++] = row;
		}
	}
	return n;
}

static int store(const struct parse *parse, const struct cli_option *row, const char *value)
{
	bool is_common = row >= cli_common_options && row < cli_common_options + N_COMMON;
	char *at = (is_common ? (char *)parse->common : (char *)parse->options) + row->offset;
	char *end;

	switch (row->type) {
	case CLI_FLAG:
		*(bool *)at = true;
		return 0;
	case CLI_STRING:
		*(const char **)at = value;
		return 0;
	case CLI_NUMBER:
		errno = 0;
		*(long *)at = strtol(value, &end, 10);
		return errno || end == value || *end || *(long *)at < 1 ? -EINVAL : 0;
	case CLI_LIST: {
		struct cli_list *list = (struct cli_list *)at;

		if (list->n == CLI_LIST_MAX)
			return -E2BIG;
		list->items[list->n++] = value;
		return 0;
	}
	}
	return -EINVAL;
}

static int take_option(struct parse *parse, const struct cli_option *row, const char *value)
{
	char text[96];

	if (!strcmp(row->name, "verbose"))
		parse->common->verbose++;
	else if (!strcmp(row->name, "help"))
		parse->help = true;
	else if (!strcmp(row->name, "version"))
		parse->version = true;
	else if (store(parse, row, value)) {
		snprintf(text, sizeof(text), "--%s wants %s", row->name,
			 row->type == CLI_NUMBER ? "a number from 1 on" : "fewer values");
		return out_usage(value ? value : row->name, text);
	} else if (row->letter == 'c' && !strcmp(row->name, "config"))
		parse->common->config_given = true;
	return 0;
}

/*
 * getopt takes "--js" for --json; a script that relies on that breaks with the next option. The word
 * is the last one it took, or the one before its value.
 */
static bool is_abbreviated(const struct cli_option *row, char **argv)
{
	const char *word = argv[optind - 1];

	if (optarg == word)
		word = argv[optind - 2];
	return strncmp(word, "--", 2) || strcspn(word + 2, "=") != strlen(row->name);
}

/* Takes the options from argv; optind is left at the first argument. An exit status, 0 to go on. */
static int take_options(struct parse *parse, int argc, char **argv)
{
	const struct cli_option *rows[MAX_OPTIONS];
	struct option longs[MAX_OPTIONS + 1] = {};
	char shorts[2 * MAX_OPTIONS + 3];
	size_t n = getopt_tables(parse, longs, shorts, rows);
	int c, status;

	opterr = 0;
	optind = 0; /* the GNU way to start afresh */
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct cli_option *row = NULL;
		const char letter[] = { '-', (char)optopt, '\0' };
		/* A letter may be one of several in its word, which getopt has not left yet. */
		const char *word = (c == '?' || c == ':') && optopt && optopt < 256 ?
					   letter :
					   argv[optind - 1];

		if (c == ':')
			return out_usage(word, "this option wants a value");
		for (size_t i = 0; i < n && !row; i++)
			if (c == 256 + (int)i || (rows[i]->letter && c == rows[i]->letter))
				row = rows[i];
		if (row && c >= 256 && is_abbreviated(row, argv))
			row = NULL;
		if (!row)
			return out_usage(word, parse->command ? "no such option; see --help" :
								"no such option; see loader help");
		status = take_option(parse, row, optarg);
		if (status)
			return status;
	}
	return 0;
}

/* The row of a long option's word or of a cluster's letter, the command's first; NULL: none. */
static const struct cli_option *find_option(const struct cli_command *command, const char *name,
					    size_t length, char letter)
{
	const struct cli_option *tables[] = { command ? command->options : NULL,
					      cli_common_options };

	for (size_t t = 0; t < 2; t++)
		for (const struct cli_option *row = tables[t]; row && row->name; row++)
			if (letter ? row->letter == letter :
				     strlen(row->name) == length &&
					     !strncmp(row->name, name, length))
				return row;
	return NULL;
}

static void note_format(const struct cli_option *row, struct cli_common *common)
{
	common->pretty |= row && !strcmp(row->name, "pretty");
	common->json |= common->pretty || (row && !strcmp(row->name, "json"));
}

/* One word of options. Whether the next word is its value. */
static bool scan_word(const struct cli_command *command, const char *word,
		      struct cli_common *common)
{
	const struct cli_option *row;

	if (word[1] == '-') {
		size_t length = strcspn(word + 2, "=");

		row = find_option(command, word + 2, length, 0);
		note_format(row, common);
		return row && row->type != CLI_FLAG && !word[2 + length];
	}
	while (*++word) {
		row = find_option(command, NULL, 0, *word);
		if (row && row->type != CLI_FLAG)
			return !word[1];
		note_format(row, common);
	}
	return false;
}

/*
 * --json and --pretty decide how even a wrong command line is reported, wherever in it they stand:
 * so they are looked for before anything is parsed.
 */
static void scan_format(int argc, char **argv, struct cli_common *common)
{
	const struct cli_command *command = NULL;
	bool named = false;

	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (argv[i][0] == '-' && argv[i][1]) {
			i += scan_word(command, argv[i], common);
		} else if (!named) {
			named = true;
			command = cli_find_command(argv[i]);
		}
	}
}

static int run_command(struct parse *parse, int argc, char **argv)
{
	const struct cli_command *command = parse->command;
	struct cli_common *common = parse->common;
	int status;

	parse->options = calloc(1, command->options_size ? command->options_size : 1);
	if (!parse->options)
		return 1;
	status = take_options(parse, argc, argv);
	if (status)
		goto out;
	if (parse->help) {
		help_command(command);
		goto out;
	}
	argc -= optind;
	argv += optind;
	if (argc < command->min_arguments || argc > command->max_arguments) {
		bool few = argc < command->min_arguments;
		char text[160];

		snprintf(text, sizeof(text), "%s; usage: loader %s %s",
			 few ? "an argument is missing" : "one argument too many", command->name,
			 command->arguments);
		status = out_usage(few ? command->name : argv[command->max_arguments], text);
		goto out;
	}
	if (common->color && strcmp(common->color, "auto") && strcmp(common->color, "always") &&
	    strcmp(common->color, "never")) {
		status = out_usage(common->color, "--color takes auto, always or never");
		goto out;
	}
	out_init(out.json, out.pretty, common->color);
	out.quiet = common->quiet && command->acts;
	log_init(common->quiet ? -1 : common->verbose);
	status = command->run(common, parse->options, argc, argv);
out:
	free(parse->options);
	parse->options = NULL;
	return status;
}

static int dispatch(int argc, char **argv)
{
	struct cli_common common = { .config = CONFIG_DEFAULT_PATH, .color = "auto" };
	struct parse parse = { .common = &common };
	char probe[] = "probe";
	int status;

	scan_format(argc, argv, &common);
	out_init(common.json, common.pretty, common.color);
	log_init(0);
	/* The project's promise: `loader --probe` is `loader probe`. */
	for (int i = 1; i < argc && argv[i][0] == '-'; i++)
		if (!strcmp(argv[i], "--probe"))
			argv[i] = probe;
	status = take_options(&parse, argc, argv);
	if (status)
		return status;
	argc -= optind;
	argv += optind;
	if (parse.version)
		return cmd_version.run(&common, NULL, 0, NULL);
	if (parse.help)
		return help_show(argc ? argv[0] : NULL);
	if (!argc)
		return out_usage("loader", "a command is missing; loader help lists them");
	parse.command = cli_find_command(argv[0]);
	if (!parse.command)
		return out_usage(argv[0], "no such command; loader help lists them");
	return run_command(&parse, argc, argv);
}

int cli_main(int argc, char **argv)
{
	return out_finish(dispatch(argc, argv));
}
