/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Version Negotiation, Retry, refused tokens and stateless resets. */
#include "stateless.h"

#include <time.h>
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include "log.h"

#define RETRY_TOKEN_LIFE (10 * NGTCP2_SECONDS)
#define NEW_TOKEN_LIFE	 (3600 * NGTCP2_SECONDS)

enum {
	/* RFC 9000 10.3: as short as a small 1-RTT packet, yet with room for the token. */
	RESET_RANDOM = 22,
	RESET_LEN = RESET_RANDOM + NGTCP2_STATELESS_RESET_TOKENLEN,
	GREASE_VERSION = 0x5a6a7a8a,
	OTHER_GREASE_VERSION = 0x0a1a2a3a,
};

/* Wall-clock nanoseconds: tokens of one server are checked by another. */
static uint64_t token_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NGTCP2_SECONDS + (uint64_t)ts.tv_nsec;
}

ngtcp2_ssize make_token(struct server *srv, const union address *peer, uint8_t *token)
{
	socklen_t len = peer->sa.sa_family == AF_INET ? sizeof(peer->in) : sizeof(peer->in6);

	return ngtcp2_crypto_generate_regular_token(token, srv->tls.token_secret, TLS_SECRET_LEN,
						    &peer->sa, len, token_time());
}

enum token_verdict check_token(struct server *srv, struct conn_origin *origin,
			       const struct datagram *dgram)
{
	const ngtcp2_pkt_hd *hd = origin->hd;
	const uint8_t *secret = srv->tls.token_secret;

	origin->odcid = hd->dcid;
	origin->retry = false;
	origin->token_valid = false;
	if (!hd->token.len)
		return TOKEN_ABSENT;
	if (hd->token.base[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY) {
		if (ngtcp2_crypto_verify_retry_token(&origin->odcid, hd->token.base, hd->token.len,
						     secret, TLS_SECRET_LEN, hd->version,
						     &dgram->peer.sa, dgram->peer_len, &hd->dcid,
						     RETRY_TOKEN_LIFE, token_time()))
			return TOKEN_INVALID;
		origin->retry = true;
	} else if (ngtcp2_crypto_verify_regular_token(
			   hd->token.base, hd->token.len, secret, TLS_SECRET_LEN, &dgram->peer.sa,
			   dgram->peer_len, NEW_TOKEN_LIFE, token_time())) {
		return TOKEN_ABSENT;
	}
	origin->token_valid = true;
	return TOKEN_VALID;
}

static void answer(const struct datagram *dgram, const uint8_t *buf, ngtcp2_ssize len)
{
	if (len > 0)
		udp_send(dgram->udp, &dgram->peer.sa, dgram->peer_len, 0, buf, (size_t)len);
}

void send_version_negotiation(struct server *srv, const ngtcp2_version_cid *vc,
			      const struct datagram *dgram)
{
	/* RFC 9000 6.3: a reserved version keeps clients used to ones they do not know. */
	uint32_t versions[] = { NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2_DRAFT,
				vc->version == GREASE_VERSION ? OTHER_GREASE_VERSION :
								GREASE_VERSION };
	/* Room for two connection IDs of the 255 octets that RFC 8999 allows. */
	uint8_t buf[1024], first;

	if (gnutls_rnd(GNUTLS_RND_NONCE, &first, sizeof(first)))
		return;
	answer(dgram, buf,
	       ngtcp2_pkt_write_version_negotiation(buf, sizeof(buf), first, vc->scid, vc->scidlen,
						    vc->dcid, vc->dcidlen, versions,
						    sizeof(versions) / sizeof(versions[0])));
	srv->stats.version_negotiations++;
	log_begin("version-negotiation");
	log_addr("peer", &dgram->peer.sa);
	log_version("version", vc->version);
	log_hex("dcid", vc->dcid, vc->dcidlen);
	log_end();
}

void send_retry(struct server *srv, const ngtcp2_pkt_hd *hd, const struct datagram *dgram)
{
	uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN];
	uint8_t buf[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
	ngtcp2_ssize len;
	ngtcp2_cid scid;

	/* The client's next Initial goes where this SCID leads, so it must lead here. */
	if (server_issue_cid(srv, &scid, "retry", NULL))
		return;
	len = ngtcp2_crypto_generate_retry_token(token, srv->tls.token_secret, TLS_SECRET_LEN,
						 hd->version, &dgram->peer.sa, dgram->peer_len,
						 &scid, &hd->dcid, token_time());
	if (len < 0)
		return;
	answer(dgram, buf,
	       ngtcp2_crypto_write_retry(buf, sizeof(buf), hd->version, &hd->scid, &scid, &hd->dcid,
					 token, (size_t)len));
	srv->stats.retries++;
	log_begin("retry");
	log_addr("peer", &dgram->peer.sa);
	log_version("version", hd->version);
	log_hex("odcid", hd->dcid.data, hd->dcid.datalen);
	log_hex("scid", scid.data, scid.datalen);
	log_end();
}

void send_invalid_token(const ngtcp2_pkt_hd *hd, const struct datagram *dgram)
{
	uint8_t buf[NGTCP2_MAX_UDP_PAYLOAD_SIZE];

	/* RFC 9000 8.1.3: say so at once, for the client will not ask for another Retry. */
	answer(dgram, buf,
	       ngtcp2_crypto_write_connection_close(buf, sizeof(buf), hd->version, &hd->scid,
						    &hd->dcid, NGTCP2_INVALID_TOKEN, NULL, 0));
}

void send_stateless_reset(struct server *srv, const ngtcp2_cid *cid, const struct datagram *dgram)
{
	uint8_t buf[RESET_LEN], random[RESET_RANDOM], token[NGTCP2_STATELESS_RESET_TOKENLEN];

	/* RFC 9000 10.3.3: always shorter than what it answers, or two ends could loop. */
	if (dgram->len <= RESET_LEN)
		return;
	if (gnutls_rnd(GNUTLS_RND_NONCE, random, sizeof(random)) ||
	    ngtcp2_crypto_generate_stateless_reset_token(token, srv->tls.reset_secret,
							 TLS_SECRET_LEN, cid))
		return;
	answer(dgram, buf,
	       ngtcp2_pkt_write_stateless_reset(buf, sizeof(buf), token, random, sizeof(random)));
}
