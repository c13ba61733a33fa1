/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Prints the tables of cli.h: as help, as a JSON document, as a completion script.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cmd_help.h"
#include "lb/abi.h"
#include "names.h"
#include "out.h"

static const struct {
	int status;
	const char *text;
} exits[] = {
	{ 0, "done" },
	{ 1, "failed" },
	{ 2, "wrong usage" },
	{ 3, "the tier asked for cannot be had" },
	{ 4, "a capability is missing" },
	{ 5, "no such interface, or the kernel lacks something" },
	{ 6, "the configuration file is not valid" },
	{ 7, "nothing is attached" },
	{ 8, "what runs differs from the file" },
};

#define N_EXITS (sizeof(exits) / sizeof(exits[0]))

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
		out_text("%-28s%s\n", left, option->help);
	}
}

static void print_reasons(void)
{
	out_text(
		"Each packet a tier sees ends with one of these; `pass` leaves it to the next tier.\n\n");
	for (int i = 0; i < LB_REASON_COUNT; i++)
		out_text("  %-24s%-9s%s\n", names_reason(i), names_reason_verdict(i),
			 names_reason_help(i));
}

/* The summary goes to a line of its own where the arguments take the room. */
static void print_summary(const char *name, const char *arguments, const char *summary)
{
	int width = (int)(3 + strlen(name) + strlen(arguments));
	bool apart = width >= 33;

	out_text("  %s %s%s%*s%s\n", name, arguments, apart ? "\n" : "", 34 - (apart ? 0 : width),
		 "", summary);
}

static void print_general_help(void)
{
	out_text("shunt: a QUIC load balancer in XDP that routes by connection ID\n\n"
		 "usage: loader [OPTIONS] COMMAND [ARGUMENTS]\n"
		 "       (installed as shunt; the same program)\n\ncommands:\n");
	for (size_t i = 0; commands[i]; i++)
		print_summary(commands[i]->name, commands[i]->arguments, commands[i]->summary);
	out_text("\noptions:\n");
	print_options(cli_common_options, NULL);
	out_text("\nexit status:\n");
	for (size_t i = 0; i < N_EXITS; i++)
		out_text("  %d  %s\n", exits[i].status, exits[i].text);
}

static void print_command(const struct cli_command *command)
{
	out_text("usage: loader %s [OPTIONS]%s%s\n\n%s\n", command->name,
		 command->arguments[0] ? " " : "", command->arguments, command->summary);
	if (command->details)
		out_text("\n%s\n", command->details);
	out_text("\noptions:\n");
	print_options(command->options, NULL);
	print_options(cli_common_options, command->options);
}

/* JSON ---------------------------------------------------------------------------------------- */

static json_t *options_json(const struct cli_option *option)
{
	json_t *list = json_array();

	for (; option && option->name; option++) {
		char letter[2] = { option->letter };

		json_array_append_new(list, json_pack("{s:s?, s:s, s:s?, s:s}", "letter",
						      option->letter ? letter : NULL, "name",
						      option->name, "value", option->metavar,
						      "help", option->help));
	}
	return list;
}

static json_t *command_json(const struct cli_command *command)
{
	return json_pack("{s:s, s:s, s:s, s:s?, s:o}", "name", command->name, "arguments",
			 command->arguments, "summary", command->summary, "details",
			 command->details, "options", options_json(command->options));
}

static json_t *commands_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; commands[i]; i++)
		json_array_append_new(list, command_json(commands[i]));
	return list;
}

static json_t *reasons_json(void)
{
	json_t *list = json_array();

	for (int i = 0; i < LB_REASON_COUNT; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "reason", names_reason(i),
						      "verdict", names_reason_verdict(i), "help",
						      names_reason_help(i)));
	return list;
}

static json_t *exits_json(void)
{
	json_t *object = json_object();

	for (size_t i = 0; i < N_EXITS; i++) {
		char status[8];

		snprintf(status, sizeof(status), "%d", exits[i].status);
		json_object_set_new(object, status, json_string(exits[i].text));
	}
	return object;
}

/* The commands of a topic with what goes for all of them. */
static void print_json(json_t *described)
{
	out_json(json_pack("{s:s, s:o, s:o, s:o}", "schema", "shunt/help/1", "commands", described,
			   "options", options_json(cli_common_options), "exit", exits_json()));
}

/* ---------------------------------------------------------------------------------------------- */

void help_command(const struct cli_command *command)
{
	if (out.json)
		print_json(json_pack("[o]", command_json(command)));
	else
		print_command(command);
}

static void show_reasons(void)
{
	if (out.json)
		out_json(json_pack("{s:s, s:o}", "schema", "shunt/help/1", "reasons",
				   reasons_json()));
	else
		print_reasons();
}

int help_show(const char *topic)
{
	const struct cli_command *command = topic ? cli_find_command(topic) : NULL;

	if (command)
		help_command(command);
	else if (topic && !strcmp(topic, "reasons"))
		show_reasons();
	else if (topic)
		return out_usage(topic, "no such command; loader help lists them");
	else if (out.json)
		print_json(commands_json());
	else
		print_general_help();
	return 0;
}

static void complete_words(FILE *to, const struct cli_option *option)
{
	for (; option && option->name; option++)
		fprintf(to, " --%s", option->name);
}

static void write_completion(FILE *to)
{
	fputs("_shunt()\n{\n\tlocal word=${COMP_WORDS[COMP_CWORD]} words i\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n",
	      to);
	for (size_t i = 0; commands[i]; i++) {
		fprintf(to, "\t\t%s) words='", commands[i]->name);
		complete_words(to, commands[i]->options);
		complete_words(to, cli_common_options);
		fputs("' ;;\n", to);
	}
	fputs("\t\tesac\n\tdone\n\t[ -n \"$words\" ] || words='", to);
	for (size_t i = 0; commands[i]; i++)
		fprintf(to, "%s%s", i ? " " : "", commands[i]->name);
	complete_words(to, cli_common_options);
	fputs("'\n\tmapfile -t COMPREPLY < <(compgen -W \"$words $(ls /sys/class/net)\" -- \"$word\")\n}\n"
	      "complete -o default -F _shunt shunt loader\n",
	      to);
}

static int run_completion(const struct cli_common *common, const void *options, int argc,
			  char **argv)
{
	char *script = NULL;
	size_t length;
	FILE *to;

	(void)common;
	(void)options;
	(void)argc;
	if (strcmp(argv[0], "bash"))
		return out_usage(argv[0], "loader completion bash");
	to = open_memstream(&script, &length);
	if (!to)
		return 1;
	write_completion(to);
	fclose(to);
	out_text("%s", script);
	out_json(json_pack("{s:s, s:s, s:s}", "schema", "shunt/completion/1", "shell", argv[0],
			   "script", script));
	free(script);
	return 0;
}

static int run_help(const struct cli_common *common, const void *options, int argc, char **argv)
{
	(void)common;
	(void)options;
	return help_show(argc ? argv[0] : NULL);
}

static int run_version(const struct cli_common *common, const void *options, int argc, char **argv)
{
	(void)common;
	(void)options;
	(void)argc;
	(void)argv;
	out_text("shunt %s (map layout %d)\n", SHUNT_VERSION, LB_ABI);
	out_json(json_pack("{s:s, s:s, s:i}", "schema", "shunt/version/1", "version", SHUNT_VERSION,
			   "abi", LB_ABI));
	return 0;
}

const struct cli_command cmd_help = {
	.name = "help",
	.arguments = "[COMMAND|reasons]",
	.summary = "this help, a command's, or the reasons that packets are counted by",
	.max_arguments = 1,
	.run = run_help,
};

const struct cli_command cmd_version = {
	.name = "version",
	.arguments = "",
	.summary = "print the version",
	.run = run_version,
};

const struct cli_command cmd_completion = {
	.name = "completion",
	.arguments = "bash",
	.summary = "print a script for completion in the shell",
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run_completion,
};
