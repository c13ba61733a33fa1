/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Parses a command line by the tables of cli.h, and prints help, version and completion from them.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "config.h"
#include "log.h"
#include "names.h"
#include "out.h"

#ifndef SHUNT_VERSION
#define SHUNT_VERSION "0.1.0"
#endif

#define MAX_OPTIONS 48

static const struct cli_option common_options[] = {
	{ 'c', "config", CLI_STRING, offsetof(struct cli_common, config), "FILE",
	  "configuration file (default " CONFIG_DEFAULT_PATH ")" },
	{ 'j', "json", CLI_FLAG, offsetof(struct cli_common, json), NULL,
	  "one JSON document on stdout, failures included" },
	{ 'p', "pretty", CLI_FLAG, offsetof(struct cli_common, pretty), NULL,
	  "JSON, indented for people" },
	{ 'q', "quiet", CLI_FLAG, offsetof(struct cli_common, quiet), NULL, "errors only" },
	{ 0, "color", CLI_STRING, offsetof(struct cli_common, color), "WHEN",
	  "auto, always or never" },
	{ 'v', "verbose", CLI_FLAG, 0, NULL, "more about what is done; twice: the libraries too" },
	{ 'h', "help", CLI_FLAG, 0, NULL, "help for the command" },
	{ 0, "version", CLI_FLAG, 0, NULL, "version" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

struct parse {
	struct cli_common *common;
	const struct cli_command *command; /* NULL: before the command */
	void *options;
	bool help, version, probe;
};

static bool has_option(const struct cli_option *option, const char *name)
{
	for (; option && option->name; option++)
		if (!strcmp(option->name, name))
			return true;
	return false;
}

/* taken: options whose long names these options have lost to them; may be NULL. */
static void print_options(const struct cli_option *option, const struct cli_option *taken)
{
	for (; option && option->name; option++) {
		char left[64], letter[5] = "    ";
		bool short_only = has_option(taken, option->name);

		if (option->letter)
			snprintf(letter, sizeof(letter), "-%c%s", option->letter,
				 short_only ? "" : ", ");
		snprintf(left, sizeof(left), "  %s%s%s%s%s", letter, short_only ? "" : "--",
			 short_only ? "" : option->name, option->metavar ? " " : "",
			 option->metavar ? option->metavar : "");
		printf("%-28s%s\n", left, option->help);
	}
}

static void print_reasons(void)
{
	for (int i = 0; i < LB_REASON_COUNT; i++)
		printf("  %-24s%-9s%s\n", names_reason(i), names_reason_verdict(i),
		       names_reason_help(i));
}

/* The summary goes to a line of its own where the arguments take the room. */
static void print_summary(const char *name, const char *arguments, const char *summary)
{
	int width = printf("  %s %s", name, arguments);

	if (width >= 34)
		width = printf("\n") - 1;
	printf("%*s%s\n", 34 - width, "", summary);
}

static void print_general_help(void)
{
	printf("shunt: a QUIC load balancer in XDP that routes by connection ID\n\n"
	       "usage: loader [OPTIONS] COMMAND [ARGUMENTS]\n"
	       "       (installed as shunt; the same program)\n\ncommands:\n");
	for (size_t i = 0; commands[i]; i++)
		print_summary(commands[i]->name, commands[i]->arguments, commands[i]->summary);
	print_summary("help", "[COMMAND|reasons]", "this help");
	print_summary("version", "", "version");
	print_summary("completion", "bash", "completion script");
	printf("\noptions:\n");
	print_options(common_options, NULL);
	printf("\nexit status: 0 done, 1 failed, 2 wrong usage, 3 tier not to be had, 4 capability missing,\n"
	       "  5 interface or kernel feature missing, 6 file invalid, 7 nothing attached, 8 differs\n");
}

static void print_command_help(const struct cli_command *command)
{
	printf("usage: loader %s [OPTIONS] %s\n\n%s\n", command->name, command->arguments,
	       command->summary);
	if (command->details)
		printf("\n%s\n", command->details);
	printf("\noptions:\n");
	print_options(command->options, NULL);
	print_options(common_options, command->options);
}

static const struct cli_command *find_command(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int help(const char *topic)
{
	const struct cli_command *command;

	if (!topic) {
		print_general_help();
		return 0;
	}
	if (!strcmp(topic, "reasons")) {
		printf("Each packet a tier sees ends with one of these; `pass` leaves it to the next tier.\n\n");
		print_reasons();
		return 0;
	}
	command = find_command(topic);
	if (!command)
		return out_usage(topic, "no such command; loader help lists them");
	print_command_help(command);
	return 0;
}

static void complete_words(const struct cli_option *option)
{
	for (; option && option->name; option++)
		printf(" --%s", option->name);
}

static int completion(const char *shell)
{
	if (!shell || strcmp(shell, "bash"))
		return out_usage("completion", "loader completion bash");
	printf("_shunt()\n{\n\tlocal word=${COMP_WORDS[COMP_CWORD]} words i\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n");
	for (size_t i = 0; commands[i]; i++) {
		printf("\t\t%s) words='", commands[i]->name);
		complete_words(commands[i]->options);
		complete_words(common_options);
		printf("' ;;\n");
	}
	printf("\t\tesac\n\tdone\n\t[ -n \"$words\" ] || words='help version completion");
	for (size_t i = 0; commands[i]; i++)
		printf(" %s", commands[i]->name);
	complete_words(common_options);
	printf("'\n\tmapfile -t COMPREPLY < <(compgen -W \"$words $(ls /sys/class/net)\" -- \"$word\")\n}\n"
	       "complete -o default -F _shunt shunt loader\n");
	return 0;
}

/*
 * Options as getopt wants them; returns how many. ids: row of each, for its return value 256 + i.
 * The command's come first, for of two options of one name getopt takes the first: encode --config.
 */
static size_t getopt_tables(const struct parse *parse, struct option *longs, char *shorts,
			    const struct cli_option **rows)
{
	const struct cli_option *tables[] = { parse->command ? parse->command->options : NULL,
					      common_options };
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
	bool is_common = row >= common_options &&
			 row < common_options + sizeof(common_options) / sizeof(*common_options);
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
		return errno || end == value || *end ? -EINVAL : 0;
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
			 row->type == CLI_NUMBER ? "a number" : "fewer values");
		return out_usage(value ? value : row->name, text);
	} else if (row->letter == 'c' && !strcmp(row->name, "config"))
		parse->common->config_given = true;
	return 0;
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
		const char *word = argv[optind - 1];

		if (c == ':')
			return out_usage(word, "this option wants a value");
		for (size_t i = 0; i < n && !row; i++)
			if (c == 256 + (int)i || (rows[i]->letter && c == rows[i]->letter))
				row = rows[i];
		if (!row)
			return out_usage(word, parse->command ? "no such option; see --help" :
								"no such option; see loader help");
		status = take_option(parse, row, optarg);
		if (status)
			return status;
	}
	return 0;
}

/* --json decides how even a wrong command line is reported. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--json") || !strcmp(argv[i], "-j") ||
		    !strcmp(argv[i], "--pretty") || !strcmp(argv[i], "-p"))
			return true;
	return false;
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
		print_command_help(command);
		goto out;
	}
	argc -= optind;
	argv += optind;
	if (argc < command->min_arguments || argc > command->max_arguments) {
		char text[160];

		snprintf(text, sizeof(text), "usage: loader %s %s", command->name,
			 command->arguments);
		status = out_usage(argc < command->min_arguments ? "an argument is missing" :
								   argv[command->max_arguments],
				   text);
		goto out;
	}
	if (common->color && strcmp(common->color, "auto") && strcmp(common->color, "always") &&
	    strcmp(common->color, "never")) {
		status = out_usage(common->color, "--color takes auto, always or never");
		goto out;
	}
	out_init(common->json || common->pretty, common->pretty, common->color);
	log_init(common->quiet ? -1 : common->verbose);
	status = command->run(common, parse->options, argc, argv);
out:
	free(parse->options);
	parse->options = NULL;
	return status;
}

int cli_main(int argc, char **argv)
{
	struct cli_common common = { .config = CONFIG_DEFAULT_PATH, .color = "auto" };
	struct parse parse = { .common = &common };
	char probe[] = "probe";
	int status;

	out_init(wants_json(argc, argv), false, "auto");
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
	if (parse.version || (argc && !strcmp(argv[0], "version"))) {
		if (wants_json(argc, argv) || common.json)
			out_json(json_pack("{s:s, s:s, s:i}", "schema", "shunt/version/1",
					   "version", SHUNT_VERSION, "abi", LB_ABI));
		else
			printf("shunt %s (map layout %d)\n", SHUNT_VERSION, LB_ABI);
		return 0;
	}
	if (parse.help || (argc && !strcmp(argv[0], "help")))
		return help(argc > 1 ? argv[1] : parse.help && argc ? argv[0] : NULL);
	if (!argc)
		return out_usage("a command is missing", "loader help lists them");
	if (!strcmp(argv[0], "completion"))
		return completion(argc > 1 ? argv[1] : NULL);
	parse.command = find_command(argv[0]);
	if (!parse.command)
		return out_usage(argv[0], "no such command; loader help lists them");
	return run_command(&parse, argc, argv);
}
