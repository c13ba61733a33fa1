/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Requests and the few pages this server has. */
#include "http.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conn.h"
#include "log.h"

enum {
	MAX_METHOD = 16,
	MAX_PATH = 1024,
	MAX_PAGE = 1024,
	MAX_HEADERS = 4,
	QPACK_TABLE = 4096,
	QPACK_BLOCKED = 100,
	CHUNK = 16384,
	SLOW_CHUNK = 1000,
};

/* SLOW_CHUNK octets in this time: about 10 kB/s. */
#define SLOW_INTERVAL (100 * NGTCP2_MILLISECONDS)
#define MAX_BODY      ((uint64_t)1 << 40)

enum body {
	BODY_NONE,
	BODY_PAGE,
	BODY_BYTES,
	BODY_SLOW,
};

struct stream {
	LIST_ENTRY(stream) all;
	int64_t id;
	char method[MAX_METHOD];
	char path[MAX_PATH];
	bool early;
	bool answered;
	uint64_t received;
	enum body body;
	uint64_t left;
	char page[MAX_PAGE];
	uint64_t next; /* BODY_SLOW: the next octets not before */
	bool waiting; /* for that time, and not for the peer to read on */
};

LIST_HEAD(stream_list, stream);

struct http {
	struct conn *conn;
	nghttp3_conn *lib;
	struct stream_list streams;
	bool early; /* what is being read came in 0-RTT packets */
};

/* The body of /bytes and /slow; it outlives every stream, so it is never copied. */
static uint8_t filler[CHUNK];

nghttp3_conn *http_lib(struct http *h)
{
	return h->lib;
}

static void forget(struct stream *s)
{
	LIST_REMOVE(s, all);
	free(s);
}

static nghttp3_ssize read_body(nghttp3_conn *lib, int64_t id, nghttp3_vec *vec, size_t nvec,
			       uint32_t *flags, void *user, void *stream_user)
{
	struct stream *s = stream_user;
	uint64_t now = now_ns();
	size_t n = 0;

	(void)lib;
	(void)id;
	(void)user;
	if (s->body == BODY_PAGE) {
		vec[n].base = (uint8_t *)s->page;
		vec[n++].len = (size_t)s->left;
		s->left = 0;
	} else if (s->body == BODY_SLOW && s->left) {
		s->waiting = now < s->next;
		if (s->waiting)
			return NGHTTP3_ERR_WOULDBLOCK;
		vec[n].base = filler;
		vec[n].len = s->left < SLOW_CHUNK ? (size_t)s->left : SLOW_CHUNK;
		s->left -= vec[n++].len;
		s->next = now + SLOW_INTERVAL;
	} else {
		for (; s->left && n < nvec; n++) {
			vec[n].base = filler;
			vec[n].len = s->left < CHUNK ? (size_t)s->left : CHUNK;
			s->left -= vec[n].len;
		}
	}
	if (!s->left)
		*flags |= NGHTTP3_DATA_FLAG_EOF;
	return (nghttp3_ssize)n;
}

static nghttp3_nv header(const char *name, const char *value)
{
	return (nghttp3_nv){ .name = (uint8_t *)name,
			     .value = (uint8_t *)value,
			     .namelen = strlen(name),
			     .valuelen = strlen(value),
			     .flags = NGHTTP3_NV_FLAG_NONE };
}

static void set_page(struct stream *s, const char *text)
{
	s->body = BODY_PAGE;
	s->left = (uint64_t)snprintf(s->page, sizeof(s->page), "%s", text);
}

/* N of /bytes/N; false unless the whole rest is a number within bounds. */
static bool parse_size(const char *text, uint64_t *size)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*size = strtoull(text, &end, 10);
	return !*end && *size <= MAX_BODY;
}

/* Choose the answer; the status code. */
static unsigned int route(struct http *h, struct stream *s, const char **type)
{
	const char *name = h->conn->srv->name;
	char text[MAX_PAGE];
	bool head = !strcmp(s->method, "HEAD");

	*type = "text/plain";
	if (!strcmp(s->method, "POST")) {
		snprintf(text, sizeof(text), "%" PRIu64 " octets for %s\n", s->received, name);
		set_page(s, text);
		return 200;
	}
	if (!head && strcmp(s->method, "GET") != 0) {
		set_page(s, "method not allowed\n");
		return 405;
	}
	if (!strcmp(s->path, "/")) {
		*type = "text/html";
		snprintf(text, sizeof(text),
			 "<!doctype html>\n<html><head><title>%s</title></head>"
			 "<body><p>server: %s</p></body></html>\n",
			 name, name);
		set_page(s, text);
		return 200;
	}
	if (!strncmp(s->path, "/bytes/", 7) && parse_size(s->path + 7, &s->left)) {
		s->body = BODY_BYTES;
		return 200;
	}
	if (!strncmp(s->path, "/slow/", 6) && parse_size(s->path + 6, &s->left)) {
		s->body = BODY_SLOW;
		return 200;
	}
	set_page(s, "not found\n");
	return 404;
}

static void log_request(struct http *h, const struct stream *s, unsigned int status)
{
	h->conn->srv->stats.requests++;
	log_begin("request");
	conn_log_name(h->conn);
	log_addr("peer", &h->conn->peer.sa);
	log_num("stream", (uint64_t)s->id);
	log_text("method", s->method);
	log_text("path", s->path);
	log_num("status", status);
	log_num("body", s->received);
	log_bool("early_data", s->early);
	log_end();
}

static int answer(struct http *h, struct stream *s)
{
	nghttp3_data_reader reader = { .read_data = read_body };
	nghttp3_nv headers[MAX_HEADERS];
	const char *type;
	unsigned int status = route(h, s, &type);
	char code[8], length[24];
	bool head = !strcmp(s->method, "HEAD");

	s->answered = true;
	snprintf(length, sizeof(length), "%" PRIu64, s->left);
	snprintf(code, sizeof(code), "%u", status);
	headers[0] = header(":status", code);
	headers[1] = header("server", h->conn->srv->name);
	headers[2] = header("content-type", type);
	headers[3] = header("content-length", length);
	log_request(h, s, status);
	return nghttp3_conn_submit_response(h->lib, s->id, headers, MAX_HEADERS,
					    head ? NULL : &reader);
}

static int begin_headers(nghttp3_conn *lib, int64_t id, void *user, void *stream_user)
{
	struct http *h = user;
	struct stream *s = calloc(1, sizeof(*s));

	(void)stream_user;
	if (!s)
		return NGHTTP3_ERR_CALLBACK_FAILURE;
	s->id = id;
	s->early = h->early;
	LIST_INSERT_HEAD(&h->streams, s, all);
	return nghttp3_conn_set_stream_user_data(lib, id, s);
}

static int recv_header(nghttp3_conn *lib, int64_t id, int32_t token, nghttp3_rcbuf *name,
		       nghttp3_rcbuf *value, uint8_t flags, void *user, void *stream_user)
{
	struct stream *s = stream_user;
	nghttp3_vec v = nghttp3_rcbuf_get_buf(value);

	(void)lib;
	(void)id;
	(void)name;
	(void)flags;
	(void)user;
	/* What is cut off here matches no page and gets its 404 or 405. */
	if (token == NGHTTP3_QPACK_TOKEN__METHOD)
		snprintf(s->method, sizeof(s->method), "%.*s", (int)v.len, (char *)v.base);
	else if (token == NGHTTP3_QPACK_TOKEN__PATH)
		snprintf(s->path, sizeof(s->path), "%.*s", (int)v.len, (char *)v.base);
	return 0;
}

static void consumed(struct http *h, int64_t id, size_t len)
{
	ngtcp2_conn_extend_max_stream_offset(h->conn->quic, id, len);
	ngtcp2_conn_extend_max_offset(h->conn->quic, len);
}

static int recv_data(nghttp3_conn *lib, int64_t id, const uint8_t *data, size_t len, void *user,
		     void *stream_user)
{
	struct stream *s = stream_user;

	(void)lib;
	(void)data;
	if (s)
		s->received += len;
	consumed(user, id, len);
	return 0;
}

static int deferred_consume(nghttp3_conn *lib, int64_t id, size_t len, void *user,
			    void *stream_user)
{
	(void)lib;
	(void)stream_user;
	consumed(user, id, len);
	return 0;
}

static int end_stream(nghttp3_conn *lib, int64_t id, void *user, void *stream_user)
{
	struct stream *s = stream_user;

	(void)lib;
	(void)id;
	if (!s || s->answered)
		return 0;
	return answer(user, s) ? NGHTTP3_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp3_conn *lib, int64_t id, uint64_t error, void *user,
			   void *stream_user)
{
	(void)lib;
	(void)id;
	(void)error;
	(void)user;
	if (stream_user)
		forget(stream_user);
	return 0;
}

static int on_stop_sending(nghttp3_conn *lib, int64_t id, uint64_t error, void *user,
			   void *stream_user)
{
	struct http *h = user;

	(void)lib;
	(void)stream_user;
	return ngtcp2_conn_shutdown_stream_read(h->conn->quic, id, error) ?
		       NGHTTP3_ERR_CALLBACK_FAILURE :
		       0;
}

static int on_reset_stream(nghttp3_conn *lib, int64_t id, uint64_t error, void *user,
			   void *stream_user)
{
	struct http *h = user;

	(void)lib;
	(void)stream_user;
	return ngtcp2_conn_shutdown_stream_write(h->conn->quic, id, error) ?
		       NGHTTP3_ERR_CALLBACK_FAILURE :
		       0;
}

static const nghttp3_callbacks callbacks = {
	.stream_close = on_stream_close,
	.recv_data = recv_data,
	.deferred_consume = deferred_consume,
	.begin_headers = begin_headers,
	.recv_header = recv_header,
	.stop_sending = on_stop_sending,
	.end_stream = end_stream,
	.reset_stream = on_reset_stream,
};

struct http *http_new(struct conn *c)
{
	struct http *h = calloc(1, sizeof(*h));
	const ngtcp2_transport_params *params = ngtcp2_conn_get_local_transport_params(c->quic);
	int64_t control, encoder, decoder;
	nghttp3_settings settings;

	if (!h)
		return NULL;
	h->conn = c;
	LIST_INIT(&h->streams);
	memset(filler, 'x', sizeof(filler));
	nghttp3_settings_default(&settings);
	settings.qpack_max_dtable_capacity = QPACK_TABLE;
	settings.qpack_blocked_streams = QPACK_BLOCKED;
	if (nghttp3_conn_server_new(&h->lib, &callbacks, &settings, NULL, h))
		goto fail;
	nghttp3_conn_set_max_client_streams_bidi(h->lib, params->initial_max_streams_bidi);
	if (ngtcp2_conn_open_uni_stream(c->quic, &control, NULL) ||
	    ngtcp2_conn_open_uni_stream(c->quic, &encoder, NULL) ||
	    ngtcp2_conn_open_uni_stream(c->quic, &decoder, NULL) ||
	    nghttp3_conn_bind_control_stream(h->lib, control) ||
	    nghttp3_conn_bind_qpack_streams(h->lib, encoder, decoder))
		goto fail;
	return h;
fail:
	http_free(h);
	return NULL;
}

void http_free(struct http *h)
{
	struct stream *s;

	if (!h)
		return;
	nghttp3_conn_del(h->lib);
	while ((s = LIST_FIRST(&h->streams)))
		forget(s); /* NOLINT(clang-analyzer-unix.Malloc): it is off the list then */
	free(h);
}

int http_read(struct http *h, int64_t stream, const uint8_t *data, size_t len, bool fin, bool early)
{
	nghttp3_ssize n;

	h->early = early;
	n = nghttp3_conn_read_stream(h->lib, stream, data, len, fin);
	if (n < 0)
		return (int)n;
	consumed(h, stream, (size_t)n);
	return 0;
}

int http_stream_close(struct http *h, int64_t stream, uint64_t app_error)
{
	int rc = nghttp3_conn_close_stream(h->lib, stream, app_error);

	/* A stream that was reset before its first octet is one the library never saw. */
	return rc == NGHTTP3_ERR_STREAM_NOT_FOUND ? 0 : rc;
}

uint64_t http_deadline(const struct http *h)
{
	uint64_t at = UINT64_MAX;
	const struct stream *s = LIST_FIRST(&h->streams);

	for (; s; s = LIST_NEXT(s, all)) {
		if (s->waiting && s->next < at)
			at = s->next;
	}
	return at;
}

void http_tick(struct http *h, uint64_t now)
{
	struct stream *s = LIST_FIRST(&h->streams);

	for (; s; s = LIST_NEXT(s, all)) {
		if (s->waiting && s->next <= now) {
			s->waiting = false;
			nghttp3_conn_resume_stream(h->lib, s->id);
		}
	}
}
