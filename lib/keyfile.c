/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A key from a file that is nobody else's. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define DIGITS	 (2 * SHUNT_CID_KEY_LENGTH)
#define NO_DIGIT 16

static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (unsigned int)(c - 'a') + 10 : NO_DIGIT;
}

static bool all_digits(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (digit(text[i]) == NO_DIGIT)
			return false;
	return true;
}

static size_t without_line_end(const char *text, size_t length)
{
	if (length && text[length - 1] == '\n')
		length--;
	return length && text[length - 1] == '\r' ? length - 1 : length;
}

/* The rule by which shunt(8) reads the same file, in loader/keys.c. */
static int parse(const char *text, size_t length, uint8_t *key)
{
	size_t digits = without_line_end(text, length);
	bool hex = all_digits(text, digits);

	if (hex && digits == DIGITS) {
		for (int i = 0; i < SHUNT_CID_KEY_LENGTH; i++)
			key[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
		return 0;
	}
	/* Of digits only: half of a text that was cut off, with half of a key's randomness. */
	if (hex || length != SHUNT_CID_KEY_LENGTH)
		return SHUNT_CID_ERR_KEY_FORM;
	memcpy(key, text, SHUNT_CID_KEY_LENGTH);
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
	char text[DIGITS + 3]; /* the line's end, and one to see that there is no more */
	size_t length;
	struct stat st;
	int error;

	if (fstat(fd, &st))
		return SHUNT_CID_ERR_KEY_OPEN;
	if (!S_ISREG(st.st_mode))
		return SHUNT_CID_ERR_KEY_FORM;
	if (st.st_uid && st.st_uid != geteuid())
		return SHUNT_CID_ERR_KEY_OWNER;
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return SHUNT_CID_ERR_KEY_EXPOSED;
	error = read_all(fd, text, sizeof(text), &length);
	if (!error)
		error = parse(text, length, key);
	explicit_bzero(text, sizeof(text));
	return error;
}

int shunt_cid_read_key(const char *path, uint8_t *key)
{
	int fd, error;

	if (!path || !key)
		return SHUNT_CID_ERR_ARGUMENT;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return SHUNT_CID_ERR_KEY_OPEN;
	error = read_key(fd, key);
	close(fd);
	if (error)
		explicit_bzero(key, SHUNT_CID_KEY_LENGTH);
	return error;
}
