/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* JSON lines: one event a line, on disk or in the pipe as soon as it is complete. */
#ifndef HWTESTS_QUIC_LOG_H
#define HWTESTS_QUIC_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Monotonic time in nanoseconds, as libngtcp2 counts it. */
uint64_t now_ns(void);

/* 0, or -1 after one line on standard error. path NULL: standard output. */
int log_open(const char *path, const char *server_name);
void log_close(void);

/* An event is log_begin(), any number of fields, log_end(). */
void log_begin(const char *event);
void log_text(const char *key, const char *value);
void log_bytes(const char *key, const void *value, size_t len);
void log_num(const char *key, uint64_t value);
void log_bool(const char *key, bool value);
void log_hex(const char *key, const void *value, size_t len);
void log_version(const char *key, uint32_t version);
void log_addr(const char *key, const struct sockaddr *addr);
void log_end(void);

#endif
