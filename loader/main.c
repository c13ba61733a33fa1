/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command table. Does no work itself, but for three standard streams that are open.
 */
#include <fcntl.h>
#include <unistd.h>

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
COMMAND(cmd_flush);
COMMAND(cmd_stats);
COMMAND(cmd_decode);
COMMAND(cmd_encode);
COMMAND(cmd_trace);
COMMAND(cmd_keygen);
COMMAND(cmd_server_config);
COMMAND(cmd_server_attach);
COMMAND(cmd_server_detach);
COMMAND(cmd_server_status);
COMMAND(cmd_run);
COMMAND(cmd_help);
COMMAND(cmd_version);
COMMAND(cmd_completion);

const struct cli_command *const commands[] = {
	&cmd_probe,
	&cmd_attach,
	&cmd_detach,
	&cmd_status,
	&cmd_check,
	&cmd_diff,
	&cmd_apply,
	&cmd_show,
	&cmd_flush,
	&cmd_stats,
	&cmd_decode,
	&cmd_encode,
	&cmd_keygen,
	&cmd_server_config,
	&cmd_trace,
	&cmd_run,
	&cmd_server_attach,
	&cmd_server_detach,
	&cmd_server_status,
	&cmd_help,
	&cmd_version,
	&cmd_completion,
	NULL,
};

/*
 * A stream that was closed (`loader check >&-`) would lend its number to the next file that is
 * opened, and the output would go there. Opened the wrong way round it still fails as a closed one
 * does; what nobody wants to read from stderr is no loss.
 */
static void fill_standard_streams(void)
{
	static const int modes[] = { O_WRONLY, O_RDONLY, O_WRONLY };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
			_exit(1);
}

int main(int argc, char **argv)
{
	fill_standard_streams();
	return cli_main(argc, argv);
}
