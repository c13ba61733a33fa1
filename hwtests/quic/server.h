/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What all parts of the server share. */
#ifndef HWTESTS_QUIC_SERVER_H
#define HWTESTS_QUIC_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include "cid.h"
#include "cidmap.h"
#include "timer.h"
#include "tls.h"
#include "udp.h"

enum {
	MAX_LISTEN = 16,
	MIN_INITIAL_DATAGRAM = 1200, /* RFC 9000 14.1 */
};

struct stats {
	uint64_t connections;
	uint64_t handshakes;
	uint64_t packets; /* datagrams received */
	uint64_t stale;
	uint64_t foreign;
	uint64_t dropped;
	uint64_t paths;
	uint64_t retries;
	uint64_t version_negotiations;
	uint64_t requests;
	uint64_t early_data;
};

LIST_HEAD(conn_list, conn);

struct server {
	const char *name;
	struct cids cids;
	const char *cid_file; /* where SIGHUP finds other configs; NULL: nowhere */
	uint32_t cid_flags; /* of all configs */
	bool retry;
	uint64_t idle_timeout, initial_rtt; /* nanoseconds */
	struct udp udp[MAX_LISTEN];
	size_t nudp;
	struct tls tls;
	struct cidmap *map;
	struct timer_heap timers;
	struct conn_list conns;
	struct stats stats;
};

/* A datagram, as it came in. */
struct datagram {
	struct udp *udp;
	union address peer;
	socklen_t peer_len;
	uint32_t ecn;
	const uint8_t *data;
	size_t len;
};

/*
 * The only source of connection IDs: handshake, NEW_CONNECTION_ID and Retry. use names the purpose
 * in the log; c is the connection it is for, NULL if there is none yet. -1 without entropy.
 */
int server_issue_cid(struct server *srv, ngtcp2_cid *cid, const char *use, const struct conn *c);

/* Put the active config's fields into an event being written. */
void server_log_active(const struct server *srv);

/* Runs until SIGTERM or SIGINT; -1 after one line on standard error. */
int server_run(struct server *srv);

#endif
