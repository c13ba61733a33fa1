/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What libngtcp2 asks of, and tells, a connection. */
#include "conn.h"

#include <string.h>
#include <gnutls/crypto.h>
#include "http.h"
#include "log.h"
#include "stateless.h"

enum {
	UNI_STREAMS_OF_HTTP = 3, /* control, QPACK encoder, QPACK decoder */
};

static void make_random(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	/* Not for secrets: libngtcp2 asks for padding and probing decisions here. */
	if (gnutls_rnd(GNUTLS_RND_NONCE, dest, len))
		memset(dest, 0, len);
}

static int get_new_connection_id(ngtcp2_conn *quic, ngtcp2_cid *cid, uint8_t *token, size_t cidlen,
				 void *user)
{
	struct conn *c = user;

	/* cidlen repeats the handshake SCID's length, which is the configuration's anyway. */
	(void)quic;
	(void)cidlen;
	if (server_issue_cid(c->srv, cid, "new", c) ||
	    ngtcp2_crypto_generate_stateless_reset_token(token, c->srv->tls.reset_secret,
							 TLS_SECRET_LEN, cid) ||
	    !cidmap_add(c->srv->map, cid, c, &c->cids))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int remove_connection_id(ngtcp2_conn *quic, const ngtcp2_cid *cid, void *user)
{
	struct conn *c = user;
	struct cid_entry *e = cidmap_find(c->srv->map, cid->data, cid->datalen);

	(void)quic;
	if (e && e->conn == c)
		cidmap_bury(c->srv->map, e, true);
	return 0;
}

static int recv_crypto_data(ngtcp2_conn *quic, ngtcp2_crypto_level level, uint64_t offset,
			    const uint8_t *data, size_t len, void *user)
{
	/* Before anything the data may lead to, such as a request in the same datagram. */
	conn_announce(user);
	return ngtcp2_crypto_recv_crypto_data_cb(quic, level, offset, data, len, user);
}

static int recv_tx_key(ngtcp2_conn *quic, ngtcp2_crypto_level level, void *user)
{
	struct conn *c = user;

	/*
	 * The server can write 1-RTT data, so HTTP may begin: this is before any 0-RTT packet is
	 * read, and requests in those need a reader.
	 */
	if (level != NGTCP2_CRYPTO_LEVEL_APPLICATION || c->http)
		return 0;
	if (ngtcp2_conn_get_max_local_streams_uni(quic) < UNI_STREAMS_OF_HTTP)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	c->http = http_new(c);
	return c->http ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static void log_handshake(struct conn *c)
{
	gnutls_datum_t alpn = { NULL, 0 };
	bool early = gnutls_session_get_flags(c->session) & GNUTLS_SFLAGS_EARLY_DATA;
	const char *group = gnutls_group_get_name(gnutls_group_get(c->session));

	gnutls_alpn_get_selected_protocol(c->session, &alpn);
	c->srv->stats.handshakes++;
	c->srv->stats.early_data += early;
	log_begin("handshake");
	conn_log_name(c);
	log_addr("peer", &c->peer.sa);
	log_version("version", ngtcp2_conn_get_negotiated_version(c->quic));
	log_bytes("alpn", alpn.data, alpn.size);
	log_bool("early_data", early);
	log_bool("resumed", gnutls_session_is_resumed(c->session));
	log_bool("retry", c->retry);
	log_text("cipher", gnutls_cipher_get_name(gnutls_cipher_get(c->session)));
	log_text("group", group ? group : "");
	log_end();
}

static int handshake_completed(ngtcp2_conn *quic, void *user)
{
	struct conn *c = user;
	uint8_t token[NEW_TOKEN_LEN];
	ngtcp2_ssize len;

	log_handshake(c);
	/* A ticket for resumption and a token that saves the next connection a Retry. */
	if (gnutls_session_ticket_send(c->session, 1, 0))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	len = make_token(c->srv, &c->peer, token);
	if (len < 0 || ngtcp2_conn_submit_new_token(quic, token, (size_t)len))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int update_key(ngtcp2_conn *quic, uint8_t *rx_secret, uint8_t *tx_secret,
		      ngtcp2_crypto_aead_ctx *rx_ctx, uint8_t *rx_iv,
		      ngtcp2_crypto_aead_ctx *tx_ctx, uint8_t *tx_iv, const uint8_t *old_rx_secret,
		      const uint8_t *old_tx_secret, size_t secretlen, void *user)
{
	struct conn *c = user;

	/*
	 * libngtcp2 prepares the next generation ahead: the first call follows the handshake, each
	 * later one a key update that took place.
	 */
	c->key_generations++;
	return ngtcp2_crypto_update_key_cb(quic, rx_secret, tx_secret, rx_ctx, rx_iv, tx_ctx, tx_iv,
					   old_rx_secret, old_tx_secret, secretlen, user);
}

static int path_validation(ngtcp2_conn *quic, uint32_t flags, const ngtcp2_path *path,
			   ngtcp2_path_validation_result result, void *user)
{
	struct conn *c = user;

	(void)quic;
	(void)flags;
	if (result != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
		return 0;
	memset(&c->validated_peer, 0, sizeof(c->validated_peer));
	memcpy(&c->validated_peer, path->remote.addr, path->remote.addrlen);
	if (c->path_pending && !memcmp(&c->validated_peer, &c->peer, sizeof(c->peer)))
		conn_log_path(c, true);
	return 0;
}

static int recv_stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t stream, uint64_t offset,
			    const uint8_t *data, size_t len, void *user, void *stream_user)
{
	struct conn *c = user;
	int rc;

	(void)offset;
	(void)stream_user;
	if (!c->http)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	rc = http_read(c->http, stream, data, len, flags & NGTCP2_STREAM_DATA_FLAG_FIN,
		       flags & NGTCP2_STREAM_DATA_FLAG_EARLY);
	if (rc) {
		c->app_error = nghttp3_err_infer_quic_app_error_code(rc);
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	(void)quic;
	return 0;
}

static int acked_stream_data_offset(ngtcp2_conn *quic, int64_t stream, uint64_t offset,
				    uint64_t len, void *user, void *stream_user)
{
	struct conn *c = user;

	(void)quic;
	(void)offset;
	(void)stream_user;
	if (c->http && nghttp3_conn_add_ack_offset(http_lib(c->http), stream, len))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int stream_close(ngtcp2_conn *quic, uint32_t flags, int64_t stream, uint64_t app_error,
			void *user, void *stream_user)
{
	struct conn *c = user;
	int rc;

	(void)stream_user;
	if (!(flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET))
		app_error = NGHTTP3_H3_NO_ERROR;
	if (!c->http)
		return 0;
	/* The two lowest bits 0: a request stream, whose place is free for another now. */
	if (!(stream & 0x3))
		ngtcp2_conn_extend_max_streams_bidi(quic, 1);
	rc = http_stream_close(c->http, stream, app_error);
	if (rc) {
		c->app_error = nghttp3_err_infer_quic_app_error_code(rc);
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	return 0;
}

static int stream_stop_sending(ngtcp2_conn *quic, int64_t stream, uint64_t app_error, void *user,
			       void *stream_user)
{
	struct conn *c = user;

	(void)quic;
	(void)app_error;
	(void)stream_user;
	if (c->http && nghttp3_conn_shutdown_stream_read(http_lib(c->http), stream))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int stream_reset(ngtcp2_conn *quic, int64_t stream, uint64_t final_size, uint64_t app_error,
			void *user, void *stream_user)
{
	(void)final_size;
	return stream_stop_sending(quic, stream, app_error, user, stream_user);
}

static int extend_max_remote_streams_bidi(ngtcp2_conn *quic, uint64_t max, void *user)
{
	struct conn *c = user;

	(void)quic;
	if (c->http)
		nghttp3_conn_set_max_client_streams_bidi(http_lib(c->http), max);
	return 0;
}

static int extend_max_stream_data(ngtcp2_conn *quic, int64_t stream, uint64_t max, void *user,
				  void *stream_user)
{
	struct conn *c = user;

	(void)quic;
	(void)max;
	(void)stream_user;
	if (c->http && nghttp3_conn_unblock_stream(http_lib(c->http), stream))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

const ngtcp2_callbacks conn_callbacks = {
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
	.recv_crypto_data = recv_crypto_data,
	.handshake_completed = handshake_completed,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.decrypt = ngtcp2_crypto_decrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_stream_data = recv_stream_data,
	.acked_stream_data_offset = acked_stream_data_offset,
	.stream_close = stream_close,
	.rand = make_random,
	.get_new_connection_id = get_new_connection_id,
	.remove_connection_id = remove_connection_id,
	.update_key = update_key,
	.path_validation = path_validation,
	.stream_reset = stream_reset,
	.extend_max_remote_streams_bidi = extend_max_remote_streams_bidi,
	.extend_max_stream_data = extend_max_stream_data,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
	.stream_stop_sending = stream_stop_sending,
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
	.recv_tx_key = recv_tx_key,
};
