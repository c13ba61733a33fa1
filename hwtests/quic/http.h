/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* HTTP/3 on one connection. */
#ifndef HWTESTS_QUIC_HTTP_H
#define HWTESTS_QUIC_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <nghttp3/nghttp3.h>

struct conn;
struct http;

/* Opens the control and QPACK streams; NULL if that fails. */
struct http *http_new(struct conn *c);
void http_free(struct http *h);

/* The library's side of the connection, for reading and writing streams. */
nghttp3_conn *http_lib(struct http *h);

/* 0, or nghttp3's error code. */
int http_read(struct http *h, int64_t stream, const uint8_t *data, size_t len, bool fin,
	      bool early);
int http_stream_close(struct http *h, int64_t stream, uint64_t app_error);

/* When a dribbling response may go on; UINT64_MAX if none waits. */
uint64_t http_deadline(const struct http *h);
void http_tick(struct http *h, uint64_t now);

#endif
