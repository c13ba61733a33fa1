/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One QUIC connection. */
#ifndef HWTESTS_QUIC_CONN_H
#define HWTESTS_QUIC_CONN_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include "server.h"

struct http;

enum conn_state {
	CONN_OPEN,
	CONN_CLOSING, /* we said CONNECTION_CLOSE and say it again when asked */
	CONN_DRAINING, /* the peer said it: silence */
};

struct conn {
	LIST_ENTRY(conn) all;
	struct server *srv;
	enum conn_state state;
	ngtcp2_conn *quic;
	gnutls_session_t session;
	ngtcp2_crypto_conn_ref ref;
	struct http *http;
	struct timer timer;
	struct cid_list cids;
	ngtcp2_cid scid; /* names the connection in the log */
	bool announced; /* its "connection" event is out */
	bool retry; /* came back with a Retry token */
	ngtcp2_cid odcid, dcid, peer_cid;
	uint32_t version;

	const struct udp *udp; /* on which the first packet came */
	union address peer, old_peer, validated_peer;
	ngtcp2_cid used_cid; /* that the peer used last */
	bool path_pending; /* the peer's address changed, not validated yet */

	uint64_t app_error; /* HTTP/3 error to close with; 0: none */
	unsigned int key_generations;
	uint64_t rx_packets, rx_octets, tx_packets, tx_octets;
	uint8_t close_packet[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
	size_t close_len;
	uint64_t close_asked;
};

/* What a server knows of a first Initial packet before there is a connection. */
struct conn_origin {
	const ngtcp2_pkt_hd *hd;
	ngtcp2_cid odcid; /* hd->dcid without Retry, else the one before it */
	bool retry;
	bool token_valid;
};

/* The connection lives in srv->map from here on; NULL if it could not be made. */
struct conn *conn_new(struct server *srv, const struct conn_origin *origin,
		      const struct datagram *dgram);

enum conn_verdict {
	CONN_ALIVE,
	CONN_GONE, /* call conn_free() */
	CONN_WANTS_RETRY, /* the same, and answer with Retry */
	CONN_NOT_INITIAL, /* the same: the first packet was not a genuine Initial for its DCID */
};

enum conn_verdict conn_receive(struct conn *c, const ngtcp2_cid *dcid,
			       const struct datagram *dgram);
enum conn_verdict conn_timeout(struct conn *c);

/* Say CONNECTION_CLOSE because this process ends. */
void conn_shutdown(struct conn *c);
void conn_free(struct conn *c);

/* For the HTTP side: put the connection's name into an event being written. */
void conn_log_name(const struct conn *c);

/* The callbacks of libngtcp2, kept apart in conn_callbacks.c. */
extern const ngtcp2_callbacks conn_callbacks;

/* The client's first Initial is authentic: tell about the connection, once. */
void conn_announce(struct conn *c);

/* A validation ended, or the connection did: tell about the address change under way. */
void conn_log_path(struct conn *c, bool validated);

#endif
