/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A key from a file that is nobody else's. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define DIGITS (2 * SHUNT_CID_KEY_LENGTH)

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int from_hex(const char *text, uint8_t *key)
{
	for (int i = 0; i < SHUNT_CID_KEY_LENGTH; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return SHUNT_CID_ERR_KEY_FORM;
		key[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int read_all(int fd, char *text, size_t room, size_t *length)
{
	ssize_t got;

	*length = 0;
	do {
		got = read(fd, text + *length, room - *length);
		if (got > 0)
			*length += (size_t)got;
	} while ((got > 0 && *length < room) || (got < 0 && errno == EINTR));
	return got < 0 ? SHUNT_CID_ERR_KEY_OPEN : 0;
}

static int read_key(int fd, uint8_t *key)
{
	char text[DIGITS + 2]; /* one for a newline, one to see that there is no more */
	size_t length;
	struct stat st;
	int error;

	if (fstat(fd, &st))
		return SHUNT_CID_ERR_KEY_OPEN;
	if (!S_ISREG(st.st_mode))
		return SHUNT_CID_ERR_KEY_FORM;
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return SHUNT_CID_ERR_KEY_EXPOSED;
	error = read_all(fd, text, sizeof(text), &length);
	if (!error && length == SHUNT_CID_KEY_LENGTH)
		memcpy(key, text, SHUNT_CID_KEY_LENGTH);
	else if (!error && (length == DIGITS || (length == DIGITS + 1 && text[DIGITS] == '\n')))
		error = from_hex(text, key);
	else if (!error)
		error = SHUNT_CID_ERR_KEY_FORM;
	explicit_bzero(text, sizeof(text));
	return error;
}

int shunt_cid_read_key(const char *path, uint8_t *key)
{
	int fd, error;

	if (!path || !key)
		return SHUNT_CID_ERR_ARGUMENT;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return SHUNT_CID_ERR_KEY_OPEN;
	error = read_key(fd, key);
	close(fd);
	if (error)
		explicit_bzero(key, SHUNT_CID_KEY_LENGTH);
	return error;
}
