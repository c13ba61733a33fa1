/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes messages to stderr and keeps the kernel's last sentence out of what the libraries print.
 */
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "log.h"

static enum log_level threshold = LOG_LEVEL_INFO;
static bool journal;
static char kernel_sentence[320];
static const char extack_mark[] = "Kernel error message: ";
static const char verifier_begin[] = "-- BEGIN PROG LOAD LOG --";
static const char verifier_end[] = "-- END PROG LOAD LOG --";

static void write_line(enum log_level level, const char *line, size_t length)
{
	/* sd-daemon(3): the journal takes the priority from the start of each line. */
	static const char *const priorities[] = { "<3>", "<4>", "<6>", "<7>", "<7>" };

	if (journal)
		fprintf(stderr, "%s%.*s\n", priorities[level], (int)length, line);
	else
		fprintf(stderr, "shunt: %.*s\n", (int)length, line);
}

static void write_text(enum log_level level, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		if (length)
			write_line(level, text, length);
		text += length;
		text += *text == '\n';
	}
}

__attribute__((format(printf, 2, 0))) static void log_message(enum log_level level,
							      const char *format, va_list arguments)
{
	char *text;

	if (level > threshold)
		return;
	if (vasprintf(&text, format, arguments) < 0)
		return;
	write_text(level, text);
	free(text);
}

#define LOG_FUNCTION(name, level)                      \
	void name(const char *format, ...)             \
	{                                              \
		va_list arguments;                     \
                                                       \
		va_start(arguments, format);           \
		log_message(level, format, arguments); \
		va_end(arguments);                     \
	}
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

const char *log_kernel_sentence(void)
{
	return kernel_sentence;
}

void log_forget_kernel(void)
{
	kernel_sentence[0] = '\0';
}

static void note(const char *sentence, size_t length)
{
	snprintf(kernel_sentence, sizeof(kernel_sentence), "%.*s", (int)length, sentence);
}

void log_note_kernel(const char *sentence)
{
	note(sentence, strcspn(sentence, "\r\n"));
}

/* The verifier closes every log with its statistics; they are no reason for anything. */
static bool is_statistics(const char *line)
{
	static const char *const starts[] = { "processed ", "verification time ", "stack depth ",
					      "max_states_per_insn " };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (!strncmp(line, starts[i], strlen(starts[i])))
			return true;
	return false;
}

static void note_verifier(const char *log)
{
	const char *end = strstr(log, verifier_end);
	const char *telling = NULL;
	size_t telling_length = 0;

	while (*log && log != end) {
		size_t length = strcspn(log, "\n");

		if (end && log + length > end)
			length = end - log;
		if (length && !is_statistics(log)) {
			telling = log;
			telling_length = length;
		}
		log += length;
		log += *log == '\n';
	}
	if (telling)
		note(telling, telling_length);
}

static void note_library(const char *text)
{
	const char *found = strstr(text, extack_mark);

	if (found) {
		log_note_kernel(found + strlen(extack_mark));
		return;
	}
	found = strstr(text, verifier_begin);
	if (found)
		note_verifier(found + strlen(verifier_begin));
}

__attribute__((format(printf, 2, 0))) static int log_library(enum log_level level,
							     const char *format, va_list arguments)
{
	char *text;
	int length = vasprintf(&text, format, arguments);

	if (length < 0)
		return 0;
	note_library(text);
	if (level <= threshold)
		write_text(level, text);
	free(text);
	return length;
}

/*
 * One level quieter: what is an error to a library is often a question that we asked on purpose, and
 * we say ourselves what came of it.
 */
__attribute__((format(printf, 2, 0))) static int print_libbpf(enum libbpf_print_level level,
							      const char *format, va_list arguments)
{
	return log_library(level == LIBBPF_WARN ? LOG_LEVEL_DEBUG : LOG_LEVEL_TRACE, format,
			   arguments);
}

__attribute__((format(printf, 2, 0))) static int print_libxdp(enum libxdp_print_level level,
							      const char *format, va_list arguments)
{
	return log_library(level == LIBXDP_WARN ? LOG_LEVEL_DEBUG : LOG_LEVEL_TRACE, format,
			   arguments);
}

/* systemd.exec(5): JOURNAL_STREAM names the journal's socket, and outlives a redirection of stderr. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &status) && status.st_dev == device && status.st_ino == inode;
}

void log_init(int verbosity)
{
	if (verbosity < 0)
		threshold = LOG_LEVEL_ERROR;
	else if (verbosity == 0)
		threshold = LOG_LEVEL_INFO;
	else
		threshold = verbosity == 1 ? LOG_LEVEL_DEBUG : LOG_LEVEL_TRACE;
	journal = stderr_is_journal();
	libbpf_set_print(print_libbpf);
	libxdp_set_print(print_libxdp);
}
