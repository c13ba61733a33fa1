/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What libngtcp2 asks of, and tells, a connection. */
#include "client.h"

#include <gnutls/crypto.h>
#include <string.h>

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
	(void)quic;
	(void)user;
	cid->datalen = cidlen;
	if (gnutls_rnd(GNUTLS_RND_NONCE, cid->data, cidlen) ||
	    gnutls_rnd(GNUTLS_RND_NONCE, token, NGTCP2_STATELESS_RESET_TOKENLEN))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int handshake_completed(ngtcp2_conn *quic, void *user)
{
	struct client *c = user;

	(void)quic;
	if (http_open(c))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	load_ready(c->load);
	if (c->load->plan.kind != LOAD_REQUESTS && http_request(c, c->started))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int recv_stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t stream, uint64_t offset,
			    const uint8_t *data, size_t len, void *user, void *stream_user)
{
	struct client *c = user;
	int rc = NGHTTP3_ERR_INVALID_STATE;

	(void)quic;
	(void)offset;
	(void)stream_user;
	if (c->http)
		rc = http_read(c, stream, data, len, flags & NGTCP2_STREAM_DATA_FLAG_FIN);
	if (!rc)
		return 0;
	c->app_error = nghttp3_err_infer_quic_app_error_code(rc);
	return NGTCP2_ERR_CALLBACK_FAILURE;
}

static int acked_stream_data_offset(ngtcp2_conn *quic, int64_t stream, uint64_t offset,
				    uint64_t len, void *user, void *stream_user)
{
	struct client *c = user;

	(void)quic;
	(void)offset;
	(void)stream_user;
	if (c->http && nghttp3_conn_add_ack_offset(c->http, stream, len))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int stream_close(ngtcp2_conn *quic, uint32_t flags, int64_t stream, uint64_t app_error,
			void *user, void *stream_user)
{
	struct client *c = user;
	int rc;

	(void)quic;
	(void)stream_user;
	if (!c->http)
		return 0;
	if (!(flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET))
		app_error = NGHTTP3_H3_NO_ERROR;
	rc = nghttp3_conn_close_stream(c->http, stream, app_error);
	if (!rc || rc == NGHTTP3_ERR_STREAM_NOT_FOUND)
		return 0;
	c->app_error = nghttp3_err_infer_quic_app_error_code(rc);
	return NGTCP2_ERR_CALLBACK_FAILURE;
}

static int extend_max_stream_data(ngtcp2_conn *quic, int64_t stream, uint64_t max, void *user,
				  void *stream_user)
{
	struct client *c = user;

	(void)quic;
	(void)max;
	(void)stream_user;
	if (c->http && nghttp3_conn_unblock_stream(c->http, stream))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

const ngtcp2_callbacks client_callbacks = {
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
	.handshake_completed = handshake_completed,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.decrypt = ngtcp2_crypto_decrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_stream_data = recv_stream_data,
	.acked_stream_data_offset = acked_stream_data_offset,
	.stream_close = stream_close,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.rand = make_random,
	.get_new_connection_id = get_new_connection_id,
	.update_key = ngtcp2_crypto_update_key_cb,
	.extend_max_stream_data = extend_max_stream_data,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};
