/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The file that keeps a counter's place over a restart. Two lines of equal length, written in turn
 * and synced: whichever is torn by a crash, the other holds, and nothing of a torn one was used.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "internal.h"

/* Name, number of the write, key check, octets that count, start, reserved; then the sum of these. */
#define START_DIGITS 36
#define SUM_AT	     (12 + 17 + 17 + 3 + START_DIGITS + 1 + 17)
#define LINE	     (SUM_AT + 17)

struct record {
	uint64_t write, check, reserved;
	unsigned int length;
	uint8_t start[MAX_COUNTER];
};

/* FNV-1a: against torn lines, not against people. */
static uint64_t sum(const char *text, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3;
	return hash;
}

static void print_record(const struct cid_counter *counter, uint64_t reserved, char *line)
{
	char start[START_DIGITS + 1] = "";

	for (unsigned int i = 0; i < MAX_COUNTER; i++)
		snprintf(start + 2 * i, 3, "%02x", i < counter->length ? counter->start[i] : 0u);
	snprintf(line, LINE + 1,
		 "shunt-cid 1 %016" PRIx64 " %016" PRIx64 " %02x %s %016" PRIx64 " ",
		 counter->state.writes, counter->state.check, counter->length, start, reserved);
	snprintf(line + SUM_AT, 18, "%016" PRIx64 "\n", sum(line, SUM_AT));
}

static bool read_record(const char *line, struct record *record)
{
	char start[START_DIGITS + 1];
	uint64_t stored;

	if (sscanf(line,
		   "shunt-cid 1 %16" SCNx64 " %16" SCNx64 " %2x %36[0-9a-f] %16" SCNx64
		   " %16" SCNx64,
		   &record->write, &record->check, &record->length, start, &record->reserved,
		   &stored) != 6 ||
	    stored != sum(line, SUM_AT) || strlen(start) != START_DIGITS)
		return false;
	for (unsigned int i = 0; i < MAX_COUNTER; i++) {
		unsigned int octet;

		if (sscanf(start + 2 * i, "%2x", &octet) != 1)
			return false;
		record->start[i] = (uint8_t)octet;
	}
	return true;
}

/*
 * 0 and *found, or an error. A file of another key is refused: going over one of its two lines would
 * leave the older one to its own key, which would then count again from there.
 */
static int read_file(struct cid_counter *counter, bool *found)
{
	char text[2 * LINE + 1] = "";
	ssize_t got = pread(counter->state.fd, text, sizeof(text) - 1, 0);
	struct record record;

	if (got < 0)
		return SHUNT_CID_ERR_STATE_OPEN;
	for (size_t slot = 0; slot < 2; slot++) {
		if ((size_t)got < (slot + 1) * LINE || !read_record(text + slot * LINE, &record))
			continue;
		if (record.check != counter->state.check || record.length != counter->length)
			return SHUNT_CID_ERR_STATE_OTHER;
		if (record.reserved > counter->limit)
			return SHUNT_CID_ERR_STATE_DAMAGED;
		if (*found && record.write < counter->state.writes)
			continue;
		memcpy(counter->start, record.start, counter->length);
		counter->reserved = record.reserved;
		counter->state.writes = record.write;
		*found = true;
	}
	if (*found)
		return 0;
	/* So that the first line of a new file comes first. */
	counter->state.writes = 1;
	/* Zeros only: made, and never synced before the machine went down. */
	return got && strnlen(text, (size_t)got) ? SHUNT_CID_ERR_STATE_DAMAGED : 0;
}

/* A file that was never told to its folder could be gone after a crash, and the count with it. */
static int sync_folder(const char *path)
{
	char copy[PATH_MAX];
	int fd, error = 0;

	if (strlen(path) >= sizeof(copy)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(dirname(strcpy(copy, path)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		error = -1;
	if (fd >= 0)
		close(fd);
	return error;
}

int shunt_cid_state_open_(struct cid_counter *counter, const char *path, bool *found)
{
	int error = SHUNT_CID_ERR_STATE_OPEN;

	counter->state.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (counter->state.fd < 0)
		return error;
	if (flock(counter->state.fd, LOCK_EX | LOCK_NB))
		error = errno == EWOULDBLOCK ? SHUNT_CID_ERR_STATE_BUSY : error;
	else if (!sync_folder(path))
		error = read_file(counter, found);
	if (error)
		shunt_cid_state_close_(counter);
	return error;
}

int shunt_cid_state_write_(struct cid_counter *counter, uint64_t reserved)
{
	char line[LINE + 1];
	ssize_t put;

	counter->state.writes++;
	print_record(counter, reserved, line);
	put = pwrite(counter->state.fd, line, LINE, (off_t)(counter->state.writes % 2) * LINE);
	if (put >= 0 && put != LINE)
		errno = ENOSPC;
	if (put == LINE && !fsync(counter->state.fd))
		return 0;
	/* The line of before holds; the next try goes over the same one that failed. */
	counter->state.writes--;
	return SHUNT_CID_ERR_STATE_WRITE;
}

void shunt_cid_state_close_(struct cid_counter *counter)
{
	if (counter->state.fd >= 0)
		close(counter->state.fd);
	counter->state.fd = -1;
}
