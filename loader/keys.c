/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads key files, with what makes a file no key file, and makes new ones.
 */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/aes.h"

#define FORMS "a key is 16 octets, or 32 hexadecimal digits"
/* 32 digits, a line's end, and one more to see that a file is longer. */
#define TEXT_MAX 35

void keys_protect_process(void)
{
	const struct rlimit none = {};

	/* The limit does not hold for a core_pattern that is a pipe; not being dumpable does. */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void keys_protect(const void *memory, size_t size)
{
	mlock(memory, size);
}

void keys_fingerprint(const uint8_t *key, char *fingerprint)
{
	struct lb_aes_block block = {};
	struct lb_aes_key expanded;

	lb_aes_expand(key, &expanded);
	lb_aes_encrypt(&expanded, &block);
	explicit_bzero(&expanded, sizeof(expanded));
	snprintf(fingerprint, KEYS_FINGERPRINT_SIZE, "%06x", block.word[0] >> 8);
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool all_hex(const uint8_t *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (hex_value(text[i]) < 0)
			return false;
	return true;
}

static size_t without_line_end(const uint8_t *text, size_t n)
{
	if (n && text[n - 1] == '\n')
		n--;
	return n && text[n - 1] == '\r' ? n - 1 : n;
}

/* What the file holds into a key: 0, or -EINVAL with what is wrong. */
static int parse(const uint8_t *text, size_t n, uint8_t *key, char *problem, size_t size)
{
	size_t digits = without_line_end(text, n);

	if (digits == 2 * KEYS_SIZE && all_hex(text, digits)) {
		for (int i = 0; i < KEYS_SIZE; i++)
			key[i] = hex_value(text[2 * i]) * 16 + hex_value(text[2 * i + 1]);
		return 0;
	}
	/* Sixteen octets that are all digits are half of a key that was cut off, not a random one. */
	if (n == KEYS_SIZE && !all_hex(text, digits)) {
		memcpy(key, text, KEYS_SIZE);
		return 0;
	}
	if (n == TEXT_MAX)
		snprintf(problem, size, "is too long: " FORMS);
	else if (digits && all_hex(text, digits))
		snprintf(problem, size, "has %zu hexadecimal digits: " FORMS, digits);
	else
		snprintf(problem, size, "has %zu octet%s: " FORMS, n, n == 1 ? "" : "s");
	return -EINVAL;
}

/* Judged on the open file, so that it is the one that is read. */
static int check_file(int fd, char *problem, size_t size)
{
	struct stat status;

	if (fstat(fd, &status)) {
		snprintf(problem, size, "cannot be read: %s", strerror(errno));
		return -errno;
	}
	if (!S_ISREG(status.st_mode)) {
		snprintf(problem, size, "is not a regular file");
		return -EINVAL;
	}
	if (status.st_uid && status.st_uid != geteuid()) {
		snprintf(problem, size, "belongs to user %u, who is neither root nor you",
			 status.st_uid);
		return -EPERM;
	}
	if (status.st_mode & (S_IRWXG | S_IRWXO)) {
		snprintf(problem, size, "is open to others (mode %04o): chmod 600, and a new key",
			 status.st_mode & 07777);
		return -EPERM;
	}
	return 0;
}

static int read_text(int fd, uint8_t *text, size_t *n, char *problem, size_t size)
{
	ssize_t got = 1;

	for (*n = 0; *n < TEXT_MAX && got; *n += got) {
		got = read(fd, text + *n, TEXT_MAX - *n);
		if (got < 0) {
			snprintf(problem, size, "cannot be read: %s", strerror(errno));
			return -errno;
		}
	}
	return 0;
}

static int read_key(int fd, uint8_t *key, char *problem, size_t size)
{
	uint8_t text[TEXT_MAX];
	size_t n;
	int error;

	keys_protect_process();
	error = read_text(fd, text, &n, problem, size);
	if (!error)
		error = parse(text, n, key, problem, size);
	explicit_bzero(text, sizeof(text));
	return error;
}

/* Without waiting for the other end of what turns out to be a FIFO. */
static int open_at(const char *folder, const char *path)
{
	int directory = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, error;

	if (directory < 0)
		return -errno;
	fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	error = errno;
	close(directory);
	return fd < 0 ? -error : fd;
}

int keys_read(const char *folder, const char *path, uint8_t *key, char *problem, size_t size)
{
	int fd = open_at(folder, path), error;

	if (fd < 0) {
		snprintf(problem, size, "cannot be read: %s", strerror(-fd));
		return fd;
	}
	error = check_file(fd, problem, size);
	if (!error)
		error = read_key(fd, key, problem, size);
	close(fd);
	return error;
}

int keys_random(uint8_t *key)
{
	ssize_t got = getrandom(key, KEYS_SIZE, 0);

	if (got < 0)
		return -errno;
	return got == KEYS_SIZE ? 0 : -EAGAIN;
}

size_t keys_text(const uint8_t *key, bool raw, char *text)
{
	if (raw) {
		memcpy(text, key, KEYS_SIZE);
		return KEYS_SIZE;
	}
	for (int i = 0; i < KEYS_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", key[i]);
	memcpy(text + 2 * KEYS_SIZE, "\n", 2);
	return 2 * KEYS_SIZE + 1;
}

/* Through to the disk: a key that is lost after servers got it would be a rotation. */
static int write_text(int fd, const char *text, size_t n)
{
	ssize_t written;

	/* An odd umask leaves less than the owner needs. */
	if (fchmod(fd, S_IRUSR | S_IWUSR))
		return -errno;
	written = write(fd, text, n);
	if (written < 0 || fsync(fd))
		return -errno;
	return (size_t)written == n ? 0 : -ENOSPC;
}

/* All of the file, or none. */
static int fill(int fd, const char *path, const uint8_t *key, bool raw)
{
	char text[KEYS_TEXT_MAX];
	int error;

	if (fd < 0)
		return -errno;
	error = write_text(fd, text, keys_text(key, raw, text));
	explicit_bzero(text, sizeof(text));
	if (close(fd) && !error)
		error = -errno;
	if (error)
		unlink(path);
	return error;
}

int keys_write(const char *path, const uint8_t *key, bool raw, bool replace)
{
	char *beside;
	int error;

	if (!replace)
		return fill(open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600), path, key,
			    raw);
	if (asprintf(&beside, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	error = fill(mkostemp(beside, O_CLOEXEC), beside, key, raw);
	if (!error && rename(beside, path)) {
		error = -errno;
		unlink(beside);
	}
	free(beside);
	return error;
}
