/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a run of the load client is to do, and what has come of it so far. */
#ifndef BENCH_WHOLE_LOAD_H
#define BENCH_WHOLE_LOAD_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include "../../hwtests/quic/timer.h"
#include "../../hwtests/quic/udp.h"

enum load_kind {
	LOAD_CONNECTIONS, /* handshake, one small request, close; as many as go */
	LOAD_DOWNLOAD, /* one body without end on each connection */
	LOAD_UPLOAD, /* the same the other way */
	LOAD_REQUESTS, /* small requests at a fixed rate, over connections that stay */
};

struct plan {
	enum load_kind kind;
	union address from, to;
	socklen_t from_len, to_len;
	const char *name; /* the server's, for its certificate */
	const char *trust; /* the certificate to trust */
	uint32_t connections; /* at a time */
	uint64_t warmup, duration; /* nanoseconds */
	uint64_t interval; /* between two requests */
};

/* Nanoseconds each, in no order. */
struct samples {
	uint64_t *list;
	size_t n, room;
};

struct client;
LIST_HEAD(client_list, client);

struct load {
	struct plan plan;
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	int epoll;
	struct timer_heap timers;
	struct client_list clients;
	struct client *next; /* whose turn it is to send a request */
	uint64_t now; /* since the last thing that happened */
	uint64_t begin, end; /* what counts; 0: not known yet */
	uint64_t due; /* the next request */
	uint32_t live, ready;
	uint64_t started, done, failed;
	uint64_t waiting; /* requests without their answer */
	uint64_t counted, octets; /* between begin and end */
	uint64_t moved; /* octets in all */
	struct samples samples;
	const char *why; /* the first failure */
};

/* Do it all; 0 or -errno after one line on standard error. */
int load_run(struct load *load);

/* For the clients to tell of. */
void load_ready(struct load *load);
void load_answered(struct load *load, uint64_t due);
void load_octets(struct load *load, uint64_t n);
void load_failed(struct load *load, const char *why);

/* 0 or -ENOMEM. */
int samples_add(struct samples *samples, uint64_t value);
/* Sorts them; each quantile asked for, or 0 where there is no sample. */
void samples_sort(struct samples *samples);
uint64_t samples_quantile(const struct samples *samples, double which);

#endif
