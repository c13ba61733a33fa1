/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The life of a connection: made, read, written, timed, closed. */
#include "client.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "../../hwtests/quic/log.h"
#include "../../hwtests/quic/packet.h"

enum {
	WINDOW = 1 << 20,
	STREAM_WINDOW = 256 << 10,
	MAX_WINDOW = 16 << 20,
	UNI_STREAMS = 3,
	FIRST_DCID_LEN = 18, /* as gtlsclient has it: not the length of the servers' */
	SCID_LEN = 8,
	MAX_DATAGRAM = 65536,
	MAX_BATCH = 64,
	MAX_BURST = 64,
};

/* RFC 9002's 333 ms would pace a first flight as if it went round the world. */
#define INITIAL_RTT	  (10 * NGTCP2_MILLISECONDS)
#define IDLE_TIMEOUT	  (30 * NGTCP2_SECONDS)
#define HANDSHAKE_TIMEOUT (10 * NGTCP2_SECONDS)

static ngtcp2_conn *get_quic(ngtcp2_crypto_conn_ref *ref)
{
	struct client *c = ref->user_data;

	return c->quic;
}

static int random_cid(ngtcp2_cid *cid, size_t len)
{
	cid->datalen = len;
	return gnutls_rnd(GNUTLS_RND_NONCE, cid->data, len);
}

static void set_path(struct client *c, ngtcp2_path_storage *ps)
{
	const struct plan *plan = &c->load->plan;

	ngtcp2_path_storage_init(ps, &c->udp.local.sa, c->udp.local_len, &plan->to.sa, plan->to_len,
				 NULL);
}

static int make_quic(struct client *c)
{
	ngtcp2_path_storage ps;
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	ngtcp2_cid dcid, scid;

	if (random_cid(&dcid, FIRST_DCID_LEN) || random_cid(&scid, SCID_LEN))
		return -1;
	set_path(c, &ps);
	ngtcp2_settings_default(&settings);
	settings.initial_ts = now_ns();
	settings.max_window = MAX_WINDOW;
	settings.max_stream_window = MAX_WINDOW;
	settings.handshake_timeout = HANDSHAKE_TIMEOUT;
	settings.initial_rtt = INITIAL_RTT;
	ngtcp2_transport_params_default(&params);
	params.initial_max_data = WINDOW;
	params.initial_max_stream_data_bidi_local = STREAM_WINDOW;
	params.initial_max_stream_data_uni = STREAM_WINDOW;
	params.initial_max_streams_uni = UNI_STREAMS;
	params.max_idle_timeout = IDLE_TIMEOUT;
	return ngtcp2_conn_client_new(&c->quic, &dcid, &scid, &ps.path, NGTCP2_PROTO_VER_V1,
				      &client_callbacks, &settings, &params, NULL, c);
}

static int make_session(struct client *c)
{
	const char *name = c->load->plan.name;
	gnutls_datum_t h3 = { (unsigned char *)"h3", 2 };

	if (gnutls_init(&c->session, GNUTLS_CLIENT)) {
		c->session = NULL;
		return -1;
	}
	if (gnutls_priority_set(c->session, c->load->priority) ||
	    gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->load->credentials) ||
	    gnutls_alpn_set_protocols(c->session, &h3, 1, GNUTLS_ALPN_MANDATORY) ||
	    gnutls_server_name_set(c->session, GNUTLS_NAME_DNS, name, strlen(name)) ||
	    ngtcp2_crypto_gnutls_configure_client_session(c->session))
		return -1;
	gnutls_session_set_verify_cert(c->session, name, 0);
	gnutls_session_set_ptr(c->session, &c->ref);
	ngtcp2_conn_set_tls_native_handle(c->quic, c->session);
	return 0;
}

static int open_socket(struct client *c)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	int err = udp_open(&c->udp);

	if (err)
		return err;
	return epoll_ctl(c->load->epoll, EPOLL_CTL_ADD, c->udp.fd, &event) ? -errno : 0;
}

struct client *client_new(struct load *load)
{
	struct client *c = calloc(1, sizeof(*c));
	int err;

	if (!c) {
		load_failed(load, strerror(ENOMEM));
		return NULL;
	}
	c->load = load;
	c->udp.fd = -1;
	c->udp.local = load->plan.from;
	c->udp.local_len = load->plan.from_len;
	c->timer.owner = c;
	c->ref.get_conn = get_quic;
	c->ref.user_data = c;
	c->started = now_ns();
	LIST_INIT(&c->requests);
	LIST_INSERT_HEAD(&load->clients, c, all);
	load->started++;
	load->live++;
	err = open_socket(c);
	if (err)
		load_failed(load, strerror(-err));
	else if (make_quic(c) || make_session(c))
		load_failed(load, "the libraries make no connection");
	else if (client_flush(c))
		return c;
	client_free(c);
	return NULL;
}

static void say_close(struct client *c, const ngtcp2_connection_close_error *error)
{
	uint8_t buf[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	ngtcp2_ssize n;

	ngtcp2_path_storage_zero(&ps);
	n = ngtcp2_conn_write_connection_close(c->quic, &ps.path, &pi, buf, sizeof(buf), error,
					       now_ns());
	if (n > 0)
		udp_send(&c->udp, &c->load->plan.to.sa, c->load->plan.to_len, pi.ecn, buf,
			 (size_t)n);
}

/* Tell the server, and the run, why this connection ends. */
static bool fail(struct client *c, int liberr)
{
	ngtcp2_connection_close_error error;

	load_failed(c->load, ngtcp2_strerror(liberr));
	ngtcp2_connection_close_error_default(&error);
	if (c->app_error)
		ngtcp2_connection_close_error_set_application_error(&error, c->app_error, NULL, 0);
	else
		ngtcp2_connection_close_error_set_transport_error_liberr(&error, liberr, NULL, 0);
	say_close(c, &error);
	return false;
}

bool client_flush(struct client *c)
{
	const struct plan *plan = &c->load->plan;
	uint8_t buf[NGTCP2_MAX_PMTUD_UDP_PAYLOAD_SIZE];
	uint64_t ts = now_ns(), at;
	size_t left = ngtcp2_conn_get_send_quantum(c->quic);

	for (int burst = 0; burst < MAX_BURST; burst++) {
		ngtcp2_path_storage ps;
		ngtcp2_pkt_info pi;
		ngtcp2_ssize n;

		ngtcp2_path_storage_zero(&ps);
		n = packet_write(c->quic, c->http, &ps, &pi, buf, sizeof(buf), ts, &c->app_error);
		if (n < 0)
			return fail(c, (int)n);
		if (!n)
			break;
		udp_send(&c->udp, &plan->to.sa, plan->to_len, pi.ecn, buf, (size_t)n);
		if ((size_t)n >= left)
			break;
		left -= (size_t)n;
	}
	ngtcp2_conn_update_pkt_tx_time(c->quic, ts);
	at = ngtcp2_conn_get_expiry(c->quic);
	if (timer_set(&c->load->timers, &c->timer, at > ts ? at : ts + 1)) {
		load_failed(c->load, strerror(ENOMEM));
		return false;
	}
	return true;
}

bool client_receive(struct client *c)
{
	static uint8_t buf[MAX_DATAGRAM];

	/* A bounded batch, so that the other connections get their turn. */
	for (int i = 0; i < MAX_BATCH; i++) {
		ngtcp2_path_storage ps;
		ngtcp2_pkt_info pi = { 0 };
		union address peer;
		socklen_t peer_len;
		ssize_t n = udp_receive(&c->udp, buf, sizeof(buf), &peer, &peer_len, &pi.ecn);
		int rc;

		if (n < 0)
			break;
		set_path(c, &ps);
		rc = ngtcp2_conn_read_pkt(c->quic, &ps.path, &pi, buf, (size_t)n, now_ns());
		if (rc == NGTCP2_ERR_DRAINING || rc == NGTCP2_ERR_DROP_CONN) {
			load_failed(c->load, "closed by the server");
			return false;
		}
		if (rc)
			return fail(c, rc);
	}
	return client_flush(c);
}

bool client_timeout(struct client *c)
{
	uint64_t ts = now_ns();
	int rc = 0;

	if (ngtcp2_conn_get_expiry(c->quic) <= ts)
		rc = ngtcp2_conn_handle_expiry(c->quic, ts);
	if (rc == NGTCP2_ERR_IDLE_CLOSE || rc == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
		load_failed(c->load, ngtcp2_strerror(rc));
		return false;
	}
	return rc ? fail(c, rc) : client_flush(c);
}

void client_close(struct client *c)
{
	ngtcp2_connection_close_error error;

	ngtcp2_connection_close_error_default(&error);
	ngtcp2_connection_close_error_set_application_error(&error, NGHTTP3_H3_NO_ERROR, NULL, 0);
	say_close(c, &error);
}

void client_free(struct client *c)
{
	if (c->load->next == c)
		c->load->next = LIST_NEXT(c, all);
	LIST_REMOVE(c, all);
	c->load->live--;
	timer_clear(&c->load->timers, &c->timer);
	http_close(c);
	ngtcp2_conn_del(c->quic);
	if (c->session)
		gnutls_deinit(c->session);
	udp_close(&c->udp);
	free(c);
}
