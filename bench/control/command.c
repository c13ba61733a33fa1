/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs the loader as a user would, and says what that took.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/control.h"

#define READY_WITHIN 60000 /* ms */

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double milliseconds(const struct timeval *time)
{
	return (double)time->tv_sec * 1e3 + (double)time->tv_usec / 1e3;
}

pid_t command_start(char *const *arguments)
{
	pid_t pid = fork();
	int null;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	null = open("/dev/null", O_RDWR);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	execv(arguments[0], arguments);
	_exit(127);
}

int command_run(char *const *arguments, struct command_cost *cost)
{
	double from = now_ms();
	struct rusage usage;
	int status;
	pid_t pid = command_start(arguments);

	if (pid < 0)
		return -errno;
	if (wait4(pid, &status, 0, &usage) < 0)
		return -errno;
	cost->wall = now_ms() - from;
	cost->cpu = milliseconds(&usage.ru_utime) + milliseconds(&usage.ru_stime);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECANCELED;
}

/* sd_notify(3): one datagram or more to the socket that the environment names. */
static int wait_ready(int socket)
{
	double until = now_ms() + READY_WITHIN;
	char text[512];
	ssize_t n;

	for (;;) {
		struct pollfd wait = { .fd = socket, .events = POLLIN };
		int left = (int)(until - now_ms());

		if (left <= 0 || poll(&wait, 1, left) == 0)
			return -ETIMEDOUT;
		n = recv(socket, text, sizeof(text) - 1, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		text[n] = '\0';
		if (strstr(text, "READY=1"))
			return 0;
	}
}

int command_start_service(const char *folder, char *const *arguments, pid_t *pid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", folder);
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setenv("NOTIFY_SOCKET", address.sun_path, 1))
		error = -errno;
	if (!error) {
		*pid = command_start(arguments);
		error = *pid < 0 ? -errno : wait_ready(fd);
		if (error && *pid > 0)
			command_end(*pid);
	}
	unsetenv("NOTIFY_SOCKET");
	close(fd);
	unlink(address.sun_path);
	return error;
}

void command_end(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}
