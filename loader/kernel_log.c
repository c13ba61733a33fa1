/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads records of /dev/kmsg: "6,339,5140900,-;text\n KEY=value\n", one a read().
 */
#include "kernel_log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reason.h"

#define RECORD_MAX 8192 /* the kernel refuses a shorter buffer than its record */
/* The rest of a record's first number, above the level: 0 for what the kernel itself says. */
#define FACILITY_SHIFT 3

int kernel_log_open(void)
{
	int reader = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (reader < 0)
		return -errno;
	kernel_log_skip(reader);
	return reader;
}

void kernel_log_skip(int reader)
{
	if (reader >= 0)
		lseek(reader, 0, SEEK_END);
}

/* The text of a record of the kernel's, cut to its first line. NULL: of somebody else. */
static char *text_of(char *record)
{
	char *text = strchr(record, ';');

	if (!text || strtoul(record, NULL, 10) >> FACILITY_SHIFT)
		return NULL;
	text[1 + strcspn(text + 1, "\n")] = '\0';
	return text + 1;
}

/* As a word of its own: "eth1" is neither in "eth10" nor in "veth1". */
static bool names(const char *text, const char *subject)
{
	size_t length = strlen(subject);
	const char *at = text;

	while (length && (at = strcasestr(at, subject))) {
		if ((at == text || !isalnum((unsigned char)at[-1])) &&
		    !isalnum((unsigned char)at[length]))
			return true;
		at++;
	}
	return false;
}

/* Drivers say it is about BPF, not always about which device; auditing says it of every program. */
static bool concerns(const char *text, const char *subject)
{
	return names(text, subject) || (names(text, "bpf") && strncmp(text, "audit:", 6) != 0);
}

bool kernel_log_find(int reader, const char *subject, char *line, size_t size)
{
	char record[RECORD_MAX + 1];

	while (reader >= 0) {
		ssize_t length = read(reader, record, RECORD_MAX);
		const char *text;

		/* EPIPE: what was next is overwritten by now; the read after it goes on. */
		if (length < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (length <= 0)
			return false;
		record[length] = '\0';
		text = text_of(record);
		if (!text || !concerns(text, subject) || reason_classify(0, text) == REASON_UNKNOWN)
			continue;
		size = strlen(text) < size ? strlen(text) + 1 : size;
		memcpy(line, text, size - 1);
		line[size - 1] = '\0';
		return true;
	}
	return false;
}
