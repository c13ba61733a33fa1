/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The life of one QUIC connection: made, read, written, timed, closed. */
#include "conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "http.h"
#include "log.h"
#include "packet.h"

enum {
	WINDOW = 1 << 20,
	STREAM_WINDOW = 256 << 10,
	MAX_WINDOW = 16 << 20,
	REQUEST_STREAMS = 100,
	UNI_STREAMS = 3,
	PEER_CIDS = 7,
	CLOSE_PTOS = 3, /* RFC 9000 10.2: closing and draining last three PTOs */
	MAX_BURST = 64,
};

void conn_log_name(const struct conn *c)
{
	log_hex("scid", c->scid.data, c->scid.datalen);
}

void conn_log_path(struct conn *c, bool validated)
{
	c->path_pending = false;
	log_begin("path");
	conn_log_name(c);
	log_addr("old", &c->old_peer.sa);
	log_addr("new", &c->peer.sa);
	log_hex("cid", c->used_cid.data, c->used_cid.datalen);
	log_bool("validated", validated);
	log_end();
}

void conn_announce(struct conn *c)
{
	if (c->announced)
		return;
	c->announced = true;
	c->srv->stats.connections++;
	log_begin("connection");
	conn_log_name(c);
	log_addr("peer", &c->peer.sa);
	log_addr("local", &c->udp->local.sa);
	log_hex("odcid", c->odcid.data, c->odcid.datalen);
	log_hex("dcid", c->dcid.data, c->dcid.datalen);
	log_hex("peer_cid", c->peer_cid.data, c->peer_cid.datalen);
	log_version("version", c->version);
	log_bool("retry", c->retry);
	log_end();
}

static void log_close_event(struct conn *c, const char *reason, uint64_t code, const char *detail)
{
	if (!c->announced)
		return;
	if (c->path_pending)
		conn_log_path(c, false);
	log_begin("close");
	conn_log_name(c);
	log_text("reason", reason);
	log_num("code", code);
	log_text("detail", detail);
	log_num("packets_rx", c->rx_packets);
	log_num("octets_rx", c->rx_octets);
	log_num("packets_tx", c->tx_packets);
	log_num("octets_tx", c->tx_octets);
	log_num("key_updates", c->key_generations ? c->key_generations - 1 : 0);
	log_end();
}

static ngtcp2_conn *get_quic(ngtcp2_crypto_conn_ref *ref)
{
	struct conn *c = ref->user_data;

	return c->quic;
}

static void set_path(ngtcp2_path_storage *ps, const struct datagram *dgram)
{
	ngtcp2_path_storage_init(ps, &dgram->udp->local.sa, dgram->udp->local_len, &dgram->peer.sa,
				 dgram->peer_len, dgram->udp);
}

static int make_quic(struct conn *c, const struct conn_origin *origin, const struct datagram *dgram)
{
	struct server *srv = c->srv;
	ngtcp2_path_storage ps;
	ngtcp2_settings settings;
	ngtcp2_transport_params params;

	set_path(&ps, dgram);
	ngtcp2_settings_default(&settings);
	settings.initial_ts = now_ns();
	settings.initial_rtt = srv->initial_rtt;
	settings.max_window = MAX_WINDOW;
	settings.max_stream_window = MAX_WINDOW;
	if (origin->token_valid)
		settings.token = origin->hd->token;

	/* The same at every server, or a 0-RTT client would remember limits nobody gave it. */
	ngtcp2_transport_params_default(&params);
	params.initial_max_data = WINDOW;
	params.initial_max_stream_data_bidi_local = STREAM_WINDOW;
	params.initial_max_stream_data_bidi_remote = STREAM_WINDOW;
	params.initial_max_stream_data_uni = STREAM_WINDOW;
	params.initial_max_streams_bidi = REQUEST_STREAMS;
	params.initial_max_streams_uni = UNI_STREAMS;
	params.max_idle_timeout = srv->idle_timeout;
	params.active_connection_id_limit = PEER_CIDS;
	/* No configuration: a balancer could not follow a client to a new address. */
	params.disable_active_migration =
		!!(shunt_cid_rules(srv->cids.lib) & SHUNT_CID_NO_MIGRATION);
	params.original_dcid = origin->odcid;
	if (origin->retry) {
		params.retry_scid = origin->hd->dcid;
		params.retry_scid_present = 1;
	}
	if (ngtcp2_crypto_generate_stateless_reset_token(
		    params.stateless_reset_token, srv->tls.reset_secret, TLS_SECRET_LEN, &c->scid))
		return -1;
	params.stateless_reset_token_present = 1;
	return ngtcp2_conn_server_new(&c->quic, &origin->hd->scid, &c->scid, &ps.path,
				      origin->hd->version, &conn_callbacks, &settings, &params,
				      NULL, c);
}

struct conn *conn_new(struct server *srv, const struct conn_origin *origin,
		      const struct datagram *dgram)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct cid_entry *e;

	if (!c)
		return NULL;
	c->srv = srv;
	c->timer.owner = c;
	c->ref.get_conn = get_quic;
	c->ref.user_data = c;
	c->odcid = origin->odcid;
	c->dcid = origin->hd->dcid;
	c->used_cid = origin->hd->dcid;
	c->peer_cid = origin->hd->scid;
	c->version = origin->hd->version;
	c->retry = origin->retry;
	c->peer = dgram->peer;
	c->udp = dgram->udp;
	LIST_INIT(&c->cids);
	LIST_INSERT_HEAD(&srv->conns, c, all);
	if (server_issue_cid(srv, &c->scid, "handshake", NULL) || make_quic(c, origin, dgram))
		goto fail;
	c->session = tls_session(&srv->tls, &c->ref);
	if (!c->session)
		goto fail;
	ngtcp2_conn_set_tls_native_handle(c->quic, c->session);
	/* The client goes on using its own choice until our SCID has reached it. */
	e = cidmap_add(srv->map, &c->dcid, c, &c->cids);
	if (!e)
		goto fail;
	e->initial_dcid = true;
	e->peer = c->peer_cid;
	if (!cidmap_add(srv->map, &c->scid, c, &c->cids))
		goto fail;
	return c;
fail:
	conn_free(c);
	return NULL;
}

void conn_free(struct conn *c)
{
	struct cid_entry *e;

	/* Late packets are told from strangers by these; a conn that never was leaves none. */
	while ((e = LIST_FIRST(&c->cids))) {
		if (c->announced)
			cidmap_bury(c->srv->map, e, false);
		else
			cidmap_drop(c->srv->map, e);
	}
	timer_clear(&c->srv->timers, &c->timer);
	LIST_REMOVE(c, all);
	http_free(c->http);
	ngtcp2_conn_del(c->quic);
	if (c->session)
		gnutls_deinit(c->session);
	free(c);
}

static struct udp *socket_of(struct server *srv, const ngtcp2_path *path)
{
	/* By address, because the library's own paths (migration) need not carry our pointer. */
	for (size_t i = 0; i < srv->nudp; i++) {
		if (srv->udp[i].local_len == path->local.addrlen &&
		    !memcmp(&srv->udp[i].local, path->local.addr, path->local.addrlen))
			return &srv->udp[i];
	}
	return &srv->udp[0];
}

static void send_packet(struct conn *c, const ngtcp2_path *path, uint32_t ecn, const uint8_t *buf,
			size_t len)
{
	c->tx_packets++;
	c->tx_octets += len;
	udp_send(socket_of(c->srv, path), path->remote.addr, path->remote.addrlen, ecn, buf, len);
}

static enum conn_verdict arm(struct conn *c, uint64_t at)
{
	if (!timer_set(&c->srv->timers, &c->timer, at))
		return CONN_ALIVE;
	log_close_event(c, "error", 0, "out of memory");
	return CONN_GONE;
}

static enum conn_verdict linger(struct conn *c, enum conn_state state)
{
	c->state = state;
	return arm(c, now_ns() + CLOSE_PTOS * ngtcp2_conn_get_pto(c->quic));
}

static enum conn_verdict say_close(struct conn *c, const ngtcp2_connection_close_error *error)
{
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	ngtcp2_ssize n;

	ngtcp2_path_storage_zero(&ps);
	n = ngtcp2_conn_write_connection_close(c->quic, &ps.path, &pi, c->close_packet,
					       sizeof(c->close_packet), error, now_ns());
	if (n <= 0)
		return CONN_GONE;
	c->close_len = (size_t)n;
	send_packet(c, &ps.path, pi.ecn, c->close_packet, c->close_len);
	return linger(c, CONN_CLOSING);
}

static enum conn_verdict fail(struct conn *c, int liberr)
{
	ngtcp2_connection_close_error error;

	ngtcp2_connection_close_error_default(&error);
	if (c->app_error)
		ngtcp2_connection_close_error_set_application_error(&error, c->app_error, NULL, 0);
	else if (liberr == NGTCP2_ERR_CRYPTO)
		ngtcp2_connection_close_error_set_transport_error_tls_alert(
			&error, ngtcp2_conn_get_tls_alert(c->quic), NULL, 0);
	else
		ngtcp2_connection_close_error_set_transport_error_liberr(&error, liberr, NULL, 0);
	log_close_event(c, "error", error.error_code, ngtcp2_strerror(liberr));
	return say_close(c, &error);
}

static enum conn_verdict peer_closed(struct conn *c)
{
	ngtcp2_connection_close_error error;

	ngtcp2_conn_get_connection_close_error(c->quic, &error);
	log_close_event(c, "peer", error.error_code,
			error.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION ?
				"application" :
				"transport");
	return linger(c, CONN_DRAINING);
}

static enum conn_verdict flush(struct conn *c)
{
	uint8_t buf[NGTCP2_MAX_PMTUD_UDP_PAYLOAD_SIZE];
	uint64_t ts = now_ns(), at;
	size_t left = ngtcp2_conn_get_send_quantum(c->quic);

	for (int burst = 0; burst < MAX_BURST; burst++) {
		ngtcp2_path_storage ps;
		ngtcp2_pkt_info pi;
		ngtcp2_ssize n;

		ngtcp2_path_storage_zero(&ps);
		n = packet_write(c->quic, c->http ? http_lib(c->http) : NULL, &ps, &pi, buf,
				 sizeof(buf), ts, &c->app_error);
		if (n < 0)
			return fail(c, (int)n);
		if (!n)
			break;
		send_packet(c, &ps.path, pi.ecn, buf, (size_t)n);
		if ((size_t)n >= left)
			break;
		left -= (size_t)n;
	}
	ngtcp2_conn_update_pkt_tx_time(c->quic, ts);
	at = ngtcp2_conn_get_expiry(c->quic);
	if (c->http && http_deadline(c->http) < at)
		at = http_deadline(c->http);
	/* A deadline that has passed already must not keep the loop from reading packets. */
	return arm(c, at > ts ? at : ts + 1);
}

static void note_path(struct conn *c)
{
	const ngtcp2_path *path = ngtcp2_conn_get_path(c->quic);
	union address now = { 0 };

	memcpy(&now, path->remote.addr, path->remote.addrlen);
	if (!memcmp(&now, &c->peer, sizeof(now)))
		return;
	if (c->path_pending)
		conn_log_path(c, false);
	c->old_peer = c->peer;
	c->peer = now;
	c->path_pending = true;
	c->srv->stats.paths++;
	/* A client that probes first has its address validated before it moves. */
	if (!memcmp(&c->validated_peer, &c->peer, sizeof(c->peer)))
		conn_log_path(c, true);
}

static void answer_late(struct conn *c, const struct datagram *dgram)
{
	/* RFC 9000 10.2.1: less and less often, so that two closing ends do not play ping-pong. */
	c->close_asked++;
	if (c->state == CONN_CLOSING && !(c->close_asked & (c->close_asked - 1)))
		udp_send(dgram->udp, &dgram->peer.sa, dgram->peer_len, 0, c->close_packet,
			 c->close_len);
}

enum conn_verdict conn_receive(struct conn *c, const ngtcp2_cid *dcid, const struct datagram *dgram)
{
	ngtcp2_pkt_info pi = { .ecn = dgram->ecn };
	ngtcp2_path_storage ps;
	int rc;

	c->rx_packets++;
	c->rx_octets += dgram->len;
	if (c->state != CONN_OPEN) {
		answer_late(c, dgram);
		return CONN_ALIVE;
	}
	c->used_cid = *dcid;
	set_path(&ps, dgram);
	rc = ngtcp2_conn_read_pkt(c->quic, &ps.path, &pi, dgram->data, dgram->len, now_ns());
	if (rc == NGTCP2_ERR_DROP_CONN) {
		log_close_event(c, "dropped", 0, "no usable Initial");
		return c->announced ? CONN_GONE : CONN_NOT_INITIAL;
	}
	if (rc == NGTCP2_ERR_RETRY) {
		log_close_event(c, "retry", 0, "address to be validated first");
		return CONN_WANTS_RETRY;
	}
	conn_announce(c);
	if (rc == NGTCP2_ERR_DRAINING)
		return peer_closed(c);
	if (rc)
		return fail(c, rc);
	note_path(c);
	return flush(c);
}

enum conn_verdict conn_timeout(struct conn *c)
{
	uint64_t ts = now_ns();
	int rc;

	if (c->state != CONN_OPEN)
		return CONN_GONE;
	if (c->http)
		http_tick(c->http, ts);
	if (ngtcp2_conn_get_expiry(c->quic) > ts)
		return flush(c);
	rc = ngtcp2_conn_handle_expiry(c->quic, ts);
	switch (rc) {
	case 0:
		return flush(c);
	case NGTCP2_ERR_IDLE_CLOSE:
		log_close_event(c, "idle", 0, ngtcp2_strerror(rc));
		return CONN_GONE;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		log_close_event(c, "handshake-timeout", 0, ngtcp2_strerror(rc));
		return CONN_GONE;
	default:
		return fail(c, rc);
	}
}

void conn_shutdown(struct conn *c)
{
	ngtcp2_connection_close_error error;

	if (c->state != CONN_OPEN)
		return;
	ngtcp2_connection_close_error_default(&error);
	ngtcp2_connection_close_error_set_application_error(&error, NGHTTP3_H3_NO_ERROR, NULL, 0);
	say_close(c, &error);
	log_close_event(c, "shutdown", NGHTTP3_H3_NO_ERROR, "server ends");
}
