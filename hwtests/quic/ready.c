/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Readiness over an inherited descriptor and over the socket that service managers give. */
#include "ready.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char message[] = "READY=1\n";

static int notify(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	ssize_t n;
	int fd;

	if (!len || len >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(addr.sun_path, path, len);
	/* A leading @ stands for the zero octet of an abstract address. */
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	n = sendto(fd, message, sizeof(message) - 1, MSG_NOSIGNAL, (struct sockaddr *)&addr,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
	return n < 0 ? -1 : 0;
}

int say_ready(int fd)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (fd >= 0) {
		if (write(fd, message, sizeof(message) - 1) < 0) {
			fprintf(stderr,
				"quic-server: descriptor %d: %s: give --ready-fd an open "
				"descriptor\n",
				fd, strerror(errno));
			return -1;
		}
		/* Closed at once, so that a reader may also wait for the end of file. */
		close(fd);
	}
	if (path && notify(path)) {
		fprintf(stderr,
			"quic-server: NOTIFY_SOCKET %s: %s: unset it or let it be a datagram "
			"socket\n",
			path, strerror(errno));
		return -1;
	}
	return 0;
}
