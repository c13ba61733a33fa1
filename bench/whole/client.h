/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One QUIC connection of the load client, on a socket of its own. */
#ifndef BENCH_WHOLE_CLIENT_H
#define BENCH_WHOLE_CLIENT_H

#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include "load.h"

struct request {
	LIST_ENTRY(request) all;
	uint64_t due; /* when it was to be sent: its latency counts from there */
	bool ok; /* status 200 */
};

LIST_HEAD(request_list, request);

struct client {
	LIST_ENTRY(client) all;
	struct load *load;
	struct udp udp;
	ngtcp2_conn *quic;
	gnutls_session_t session;
	ngtcp2_crypto_conn_ref ref;
	nghttp3_conn *http;
	struct request_list requests;
	struct timer timer;
	uint64_t started;
	uint64_t app_error; /* HTTP/3 error to close with; 0: none */
	bool answered;
};

/* Its first packet is sent when it returns; NULL after load_failed(). */
struct client *client_new(struct load *load);

/* False after load_failed(): then client_free() is due. */
bool client_receive(struct client *c);
bool client_timeout(struct client *c);
bool client_flush(struct client *c);

/* Say that all is well and over. */
void client_close(struct client *c);
void client_free(struct client *c);

/* The callbacks of libngtcp2, kept apart in callbacks.c. */
extern const ngtcp2_callbacks client_callbacks;

/* HTTP/3 on it: 0 or an error of nghttp3. */
int http_open(struct client *c);
int http_read(struct client *c, int64_t stream, const uint8_t *data, size_t len, bool fin);
/* 0, -EAGAIN while the server allows no further stream, or -EPROTO. */
int http_request(struct client *c, uint64_t due);
void http_close(struct client *c);

#endif
