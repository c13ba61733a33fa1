/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers that need no connection. */
#ifndef HWTESTS_QUIC_STATELESS_H
#define HWTESTS_QUIC_STATELESS_H

#include <ngtcp2/ngtcp2.h>
#include "conn.h"
#include "server.h"

enum token_verdict {
	TOKEN_ABSENT, /* or one from NEW_TOKEN that is not valid, which is the same */
	TOKEN_VALID,
	TOKEN_INVALID, /* a Retry token that is not for this client */
};

enum {
	NEW_TOKEN_LEN = NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN,
};

/* Make a token for NEW_TOKEN in token[NEW_TOKEN_LEN]; its length, or -1. */
ngtcp2_ssize make_token(struct server *srv, const union address *peer, uint8_t *token);

/* Look at an Initial's token and fill in everything of origin but hd. */
enum token_verdict check_token(struct server *srv, struct conn_origin *origin,
			       const struct datagram *dgram);

void send_version_negotiation(struct server *srv, const ngtcp2_version_cid *vc,
			      const struct datagram *dgram);
void send_retry(struct server *srv, const ngtcp2_pkt_hd *hd, const struct datagram *dgram);
void send_invalid_token(const ngtcp2_pkt_hd *hd, const struct datagram *dgram);
void send_stateless_reset(struct server *srv, const ngtcp2_cid *cid, const struct datagram *dgram);

#endif
