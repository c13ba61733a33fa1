/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The requests of a connection and their answers. */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 16384,
	HEADERS = 4,
};

/* What the server is asked for, by kind; the largest body that it has. */
static const char *const paths[] = {
	[LOAD_CONNECTIONS] = "/",
	[LOAD_DOWNLOAD] = "/bytes/1099511627776",
	[LOAD_UPLOAD] = "/",
	[LOAD_REQUESTS] = "/",
};

static uint8_t filler[CHUNK];

static nghttp3_nv header(const char *name, const char *value)
{
	return (nghttp3_nv){ .name = (uint8_t *)name,
			     .value = (uint8_t *)value,
			     .namelen = strlen(name),
			     .valuelen = strlen(value),
			     .flags = NGHTTP3_NV_FLAG_NONE };
}

static void consumed(struct client *c, int64_t stream, size_t len)
{
	ngtcp2_conn_extend_max_stream_offset(c->quic, stream, len);
	ngtcp2_conn_extend_max_offset(c->quic, len);
}

/* A body without end. */
static nghttp3_ssize read_body(nghttp3_conn *http, int64_t id, nghttp3_vec *vec, size_t nvec,
			       uint32_t *flags, void *user, void *stream_user)
{
	(void)http;
	(void)id;
	(void)nvec;
	(void)flags;
	(void)user;
	(void)stream_user;
	vec[0].base = filler;
	vec[0].len = sizeof(filler);
	return 1;
}

static int acked_stream_data(nghttp3_conn *http, int64_t id, uint64_t len, void *user,
			     void *stream_user)
{
	struct client *c = user;

	(void)http;
	(void)id;
	(void)stream_user;
	load_octets(c->load, len);
	return 0;
}

static int recv_header(nghttp3_conn *http, int64_t id, int32_t token, nghttp3_rcbuf *name,
		       nghttp3_rcbuf *value, uint8_t flags, void *user, void *stream_user)
{
	struct request *request = stream_user;
	nghttp3_vec v = nghttp3_rcbuf_get_buf(value);

	(void)http;
	(void)id;
	(void)name;
	(void)flags;
	(void)user;
	if (token == NGHTTP3_QPACK_TOKEN__STATUS)
		request->ok = v.len == 3 && !memcmp(v.base, "200", 3);
	return 0;
}

static int recv_data(nghttp3_conn *http, int64_t id, const uint8_t *data, size_t len, void *user,
		     void *stream_user)
{
	struct client *c = user;

	(void)http;
	(void)data;
	(void)stream_user;
	consumed(c, id, len);
	load_octets(c->load, len);
	return 0;
}

static int deferred_consume(nghttp3_conn *http, int64_t id, size_t len, void *user,
			    void *stream_user)
{
	(void)http;
	(void)stream_user;
	consumed(user, id, len);
	return 0;
}

static int end_stream(nghttp3_conn *http, int64_t id, void *user, void *stream_user)
{
	struct request *request = stream_user;
	struct client *c = user;

	(void)http;
	(void)id;
	if (!request->ok)
		return NGHTTP3_ERR_CALLBACK_FAILURE;
	c->answered = true;
	load_answered(c->load, request->due);
	return 0;
}

static int stream_close(nghttp3_conn *http, int64_t id, uint64_t error, void *user,
			void *stream_user)
{
	struct request *request = stream_user;

	(void)http;
	(void)id;
	(void)error;
	(void)user;
	if (request) {
		LIST_REMOVE(request, all);
		free(request);
	}
	return 0;
}

static const nghttp3_callbacks callbacks = {
	.acked_stream_data = acked_stream_data,
	.stream_close = stream_close,
	.recv_data = recv_data,
	.deferred_consume = deferred_consume,
	.recv_header = recv_header,
	.end_stream = end_stream,
};

int http_open(struct client *c)
{
	int64_t control, encoder, decoder;
	nghttp3_settings settings;

	nghttp3_settings_default(&settings);
	if (nghttp3_conn_client_new(&c->http, &callbacks, &settings, NULL, c)) {
		c->http = NULL;
		return -1;
	}
	if (ngtcp2_conn_open_uni_stream(c->quic, &control, NULL) ||
	    ngtcp2_conn_open_uni_stream(c->quic, &encoder, NULL) ||
	    ngtcp2_conn_open_uni_stream(c->quic, &decoder, NULL) ||
	    nghttp3_conn_bind_control_stream(c->http, control) ||
	    nghttp3_conn_bind_qpack_streams(c->http, encoder, decoder))
		return -1;
	return 0;
}

int http_read(struct client *c, int64_t stream, const uint8_t *data, size_t len, bool fin)
{
	nghttp3_ssize n = nghttp3_conn_read_stream(c->http, stream, data, len, fin);

	if (n < 0)
		return (int)n;
	consumed(c, stream, (size_t)n);
	return 0;
}

int http_request(struct client *c, uint64_t due)
{
	const struct plan *plan = &c->load->plan;
	bool upload = plan->kind == LOAD_UPLOAD;
	nghttp3_nv headers[HEADERS] = {
		header(":method", upload ? "POST" : "GET"),
		header(":scheme", "https"),
		header(":authority", plan->name),
		header(":path", paths[plan->kind]),
	};
	nghttp3_data_reader reader = { .read_data = read_body };
	struct request *request;
	int64_t stream;

	if (!ngtcp2_conn_get_streams_bidi_left(c->quic))
		return -EAGAIN;
	request = calloc(1, sizeof(*request));
	if (!request || ngtcp2_conn_open_bidi_stream(c->quic, &stream, NULL) ||
	    nghttp3_conn_submit_request(c->http, stream, headers, HEADERS, upload ? &reader : NULL,
					request)) {
		free(request);
		return -EPROTO;
	}
	request->due = due;
	LIST_INSERT_HEAD(&c->requests, request, all);
	c->load->waiting++;
	return 0;
}

void http_close(struct client *c)
{
	struct request *request;

	if (c->http)
		nghttp3_conn_del(c->http);
	while ((request = LIST_FIRST(&c->requests))) {
		LIST_REMOVE(request, all);
		free(request); /* NOLINT(clang-analyzer-unix.Malloc): it is off the list then */
	}
}
