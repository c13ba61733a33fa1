/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* GnuTLS sessions with QUIC's demands on TLS 1.3. */
#include "tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

/* RFC 9001 8.4: no middlebox compatibility mode. */
const char tls_priority[] =
	"%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"
	"+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CCM:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:"
	"+GROUP-SECP384R1:+GROUP-SECP521R1";

enum {
	REPLAY_ENTRIES = 4096,
	REPLAY_KEY_LEN = 128,
};

struct replay_store {
	struct replay_entry {
		time_t expires;
		unsigned int len;
		uint8_t key[REPLAY_KEY_LEN];
	} entry[REPLAY_ENTRIES];
};

/* RFC 9001 4.6.1: QUIC's tickets allow 0-RTT with this value only. */
static const size_t early_data_size = 0xffffffffu;

static int read_secret(const char *path, uint8_t *master, size_t *len)
{
	FILE *f = fopen(path, "re");

	if (!f) {
		fprintf(stderr, "quic-server: %s: %s: give --secret-file a readable file\n", path,
			strerror(errno));
		return -1;
	}
	*len = fread(master, 1, *len, f);
	fclose(f);
	if (*len < TLS_MIN_SECRET_FILE) {
		fprintf(stderr, "quic-server: %s: %zu octets: a secret has at least %d\n", path,
			*len, TLS_MIN_SECRET_FILE);
		return -1;
	}
	return 0;
}

/* One secret a purpose, so that none of them tells about another. */
static int derive(const uint8_t *master, size_t len, const char *purpose, uint8_t *key, size_t size)
{
	uint8_t mac[64];

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA512, master, len, purpose, strlen(purpose), mac))
		return -1;
	memcpy(key, mac, size);
	return 0;
}

static int setup_secrets(struct tls *tls, const char *secret_file)
{
	uint8_t master[1024];
	size_t len = sizeof(master);

	if (secret_file) {
		if (read_secret(secret_file, master, &len))
			return -1;
	} else {
		len = TLS_MIN_SECRET_FILE;
		if (gnutls_rnd(GNUTLS_RND_KEY, master, len))
			goto fail;
	}
	if (derive(master, len, "token", tls->token_secret, sizeof(tls->token_secret)) ||
	    derive(master, len, "reset", tls->reset_secret, sizeof(tls->reset_secret)) ||
	    derive(master, len, "ticket", tls->ticket_key, sizeof(tls->ticket_key)))
		goto fail;
	return 0;
fail:
	fprintf(stderr,
		"quic-server: GnuTLS derives no keys: check that it runs outside FIPS mode\n");
	return -1;
}

/*
 * Called for each ClientHello with early data; refuses one that was seen before. GnuTLS accepts no
 * early data at all without such a store. It also refuses tickets older than the store itself, so
 * a server that was restarted takes 0-RTT only for tickets issued since, by whichever server.
 */
static int replay_add(void *ptr, time_t expires, const gnutls_datum_t *key,
		      const gnutls_datum_t *data)
{
	struct replay_store *store = ptr;
	struct replay_entry *room = NULL;
	time_t now = time(NULL);

	(void)data;
	if (key->size > REPLAY_KEY_LEN)
		return GNUTLS_E_DB_ERROR;
	for (size_t i = 0; i < REPLAY_ENTRIES; i++) {
		struct replay_entry *e = &store->entry[i];

		if (e->expires < now)
			room = e;
		else if (e->len == key->size && !memcmp(e->key, key->data, key->size))
			return GNUTLS_E_DB_ENTRY_EXISTS;
	}
	/* A full store cannot tell, so the handshake goes on without early data. */
	if (!room)
		return GNUTLS_E_DB_ENTRY_EXISTS;
	room->expires = expires;
	room->len = key->size;
	memcpy(room->key, key->data, key->size);
	return 0;
}

static int setup_replay(struct tls *tls)
{
	tls->seen = calloc(1, sizeof(*tls->seen));
	if (!tls->seen || gnutls_anti_replay_init(&tls->anti_replay))
		return -1;
	gnutls_anti_replay_set_add_function(tls->anti_replay, replay_add);
	gnutls_anti_replay_set_ptr(tls->anti_replay, tls->seen);
	return 0;
}

int tls_setup(struct tls *tls, const char *cert, const char *key, const char *secret_file)
{
	int rc;

	memset(tls, 0, sizeof(*tls));
	if (setup_secrets(tls, secret_file))
		return -1;
	rc = gnutls_certificate_allocate_credentials(&tls->cred);
	if (!rc)
		rc = gnutls_certificate_set_x509_key_file(tls->cred, cert, key,
							  GNUTLS_X509_FMT_PEM);
	if (rc) {
		fprintf(stderr, "quic-server: %s, %s: %s: give --cert and --key a PEM pair\n", cert,
			key, gnutls_strerror(rc));
		return -1;
	}
	if (setup_replay(tls)) {
		fprintf(stderr, "quic-server: out of memory: leave it some megabytes\n");
		return -1;
	}
	rc = gnutls_priority_init2(&tls->priority, tls_priority, NULL, 0);
	if (rc) {
		fprintf(stderr, "quic-server: TLS algorithms: %s: use GnuTLS 3.7 or newer\n",
			gnutls_strerror(rc));
		return -1;
	}
	return 0;
}

void tls_cleanup(struct tls *tls)
{
	if (tls->anti_replay)
		gnutls_anti_replay_deinit(tls->anti_replay);
	free(tls->seen);
	if (tls->cred)
		gnutls_certificate_free_credentials(tls->cred);
	if (tls->priority)
		gnutls_priority_deinit(tls->priority);
}

gnutls_session_t tls_session(struct tls *tls, ngtcp2_crypto_conn_ref *ref)
{
	gnutls_datum_t ticket_key = { tls->ticket_key, sizeof(tls->ticket_key) };
	gnutls_datum_t h3 = { (unsigned char *)"h3", 2 };
	gnutls_session_t session;

	/*
	 * RFC 9001 8.3: no EndOfEarlyData. Tickets are sent by hand once the handshake is over:
	 * sent by GnuTLS itself they would go out before there are keys for them.
	 */
	if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_ENABLE_EARLY_DATA |
					  GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_END_OF_EARLY_DATA))
		return NULL;
	if (gnutls_priority_set(session, tls->priority) ||
	    gnutls_session_ticket_enable_server(session, &ticket_key) ||
	    gnutls_record_set_max_early_data_size(session, early_data_size) ||
	    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->cred) ||
	    gnutls_alpn_set_protocols(session, &h3, 1, GNUTLS_ALPN_MANDATORY) ||
	    ngtcp2_crypto_gnutls_configure_server_session(session)) {
		gnutls_deinit(session);
		return NULL;
	}
	gnutls_anti_replay_enable(session, tls->anti_replay);
	gnutls_session_set_ptr(session, ref);
	return session;
}
