/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command table. Does no work itself.
 */
#include "cli.h"

#define COMMAND(name) extern const struct cli_command name
COMMAND(cmd_probe);
COMMAND(cmd_attach);
COMMAND(cmd_detach);
COMMAND(cmd_status);
COMMAND(cmd_check);
COMMAND(cmd_diff);
COMMAND(cmd_apply);
COMMAND(cmd_show);
COMMAND(cmd_stats);
COMMAND(cmd_decode);
COMMAND(cmd_encode);
COMMAND(cmd_trace);
COMMAND(cmd_server_attach);
COMMAND(cmd_server_detach);
COMMAND(cmd_server_status);
COMMAND(cmd_run);

const struct cli_command *const commands[] = {
	&cmd_probe,	    &cmd_attach, &cmd_detach, &cmd_status,	  &cmd_check,
	&cmd_diff,	    &cmd_apply,	 &cmd_show,   &cmd_stats,	  &cmd_decode,
	&cmd_encode,	    &cmd_trace,	 &cmd_run,    &cmd_server_attach, &cmd_server_detach,
	&cmd_server_status, NULL,
};

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
