/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TLS for QUIC, and the secrets that servers behind one address share. */
#ifndef HWTESTS_QUIC_TLS_H
#define HWTESTS_QUIC_TLS_H

#include <stddef.h>
#include <stdint.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2_crypto.h>

enum {
	TLS_SECRET_LEN = 32,
	TLS_TICKET_KEY_LEN = 64, /* GnuTLS takes no other length */
	TLS_MIN_SECRET_FILE = 32,
};

/* GnuTLS's words for the algorithms that QUIC may use. */
extern const char tls_priority[];

struct replay_store;

struct tls {
	gnutls_anti_replay_t anti_replay;
	struct replay_store *seen;
	gnutls_certificate_credentials_t cred;
	gnutls_priority_t priority;
	uint8_t token_secret[TLS_SECRET_LEN]; /* Retry and NEW_TOKEN tokens */
	uint8_t reset_secret[TLS_SECRET_LEN]; /* stateless reset tokens */
	uint8_t ticket_key[TLS_TICKET_KEY_LEN];
};

/* secret_file NULL: secrets of this process alone. -1 after one line on standard error. */
int tls_setup(struct tls *tls, const char *cert, const char *key, const char *secret_file);
void tls_cleanup(struct tls *tls);

/* A server session whose QUIC side is found through ref; NULL if GnuTLS refuses. */
gnutls_session_t tls_session(struct tls *tls, ngtcp2_crypto_conn_ref *ref);

#endif
