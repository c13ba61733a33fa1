/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything that goes to stderr: messages in levels, and what libbpf and libxdp say, one level
 * quieter. It remembers the kernel's last sentence, for a reason to quote. Never touches stdout.
 */
#ifndef SHUNT_LOG_H
#define SHUNT_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE
};

/* Takes over libbpf's and libxdp's printing. verbosity: -1 quiet, 0, 1 (-v), 2 (-vv). */
void log_init(int verbosity);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The kernel's extack or the verifier's last telling line since log_forget_kernel(), without
 * prefix; "" if it said nothing. Valid until the next library call.
 */
const char *log_kernel_sentence(void);
void log_forget_kernel(void);
/* For our own netlink code: an extack sentence we read ourselves. */
void log_note_kernel(const char *sentence);

#endif
