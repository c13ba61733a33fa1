/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The event loop, and whose packet a datagram is. */
#define _GNU_SOURCE
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "conn.h"
#include "log.h"
#include "stateless.h"

enum {
	MAX_DATAGRAM = 65536,
	MAX_BATCH = 64,
	MAX_EVENTS = MAX_LISTEN + 1,
	LONG_HEADER = 0x80,
	ISSUE_TRIES = 16,
};

int server_issue_cid(struct server *srv, ngtcp2_cid *cid, const char *use, const struct conn *c)
{
	/* A nonce of 4 octets in clear does repeat among many: never give out a known one. */
	for (int i = 0; i < ISSUE_TRIES; i++) {
		int length = cids_issue(&srv->cids, c ? c->scid.data : NULL,
					c ? c->scid.datalen : 0, cid->data);

		if (length < 0) {
			log_begin("no-cid");
			log_text("why", shunt_cid_strerror(length));
			log_end();
			return -1;
		}
		cid->datalen = (size_t)length;
		if (cidmap_find(srv->map, cid->data, cid->datalen))
			continue;
		log_begin("cid");
		log_text("use", use);
		log_hex("cid", cid->data, cid->datalen);
		if (c)
			conn_log_name(c);
		log_end();
		return 0;
	}
	return -1;
}

static void log_stray(const char *event, const char *why, const struct datagram *dgram,
		      const uint8_t *dcid, size_t dcid_len, const struct shunt_cid_info *info)
{
	log_begin(event);
	log_text("why", why);
	log_addr("peer", &dgram->peer.sa);
	log_hex("dcid", dcid, dcid_len);
	if (info->server_id_length)
		log_hex("server_id", info->server_id, info->server_id_length);
	log_bool("long_header", dgram->data[0] & LONG_HEADER);
	log_num("octets", dgram->len);
	log_end();
}

static void drop(struct server *srv, const char *why, const struct datagram *dgram)
{
	srv->stats.dropped++;
	log_begin("drop");
	log_text("why", why);
	log_addr("peer", &dgram->peer.sa);
	log_num("octets", dgram->len);
	log_end();
}

/* A packet that no live connection takes: stale if it was ours once, else somebody else's. */
static void stray(struct server *srv, const struct cid_entry *dead, const ngtcp2_cid *dcid,
		  const struct datagram *dgram)
{
	struct shunt_cid_info info = cids_decode(&srv->cids, dcid->data, dcid->datalen);
	const char *why = "own";

	if (dead || info.owner == SHUNT_CID_OWN) {
		srv->stats.stale++;
		if (dead)
			why = dead->retired ? "retired" : "closed";
		log_stray("stale", why, dgram, dcid->data, dcid->datalen, &info);
		/*
		 * Never for another server's connection ID: with a shared secret this server could
		 * kill connections that live elsewhere (RFC 9000 21.11).
		 */
		if (info.owner == SHUNT_CID_OWN && !(dgram->data[0] & LONG_HEADER) &&
		    !(dead && dead->retired))
			send_stateless_reset(srv, dcid, dgram);
		return;
	}
	srv->stats.foreign++;
	log_stray("foreign", info.owner == SHUNT_CID_OTHER ? "other-server" : "not-ours", dgram,
		  dcid->data, dcid->datalen, &info);
}

static void first_initial(struct server *srv, const ngtcp2_pkt_hd *hd, const struct datagram *dgram)
{
	struct conn_origin origin = { .hd = hd };
	enum token_verdict token = check_token(srv, &origin, dgram);
	struct shunt_cid_info info = cids_decode(&srv->cids, hd->dcid.data, hd->dcid.datalen);
	struct conn *c;

	if (token == TOKEN_INVALID) {
		send_invalid_token(hd, dgram);
		drop(srv, "invalid-token", dgram);
		return;
	}
	/* A valid Retry token proves that the DCID was issued: by whom is known then. */
	if (origin.retry && info.owner == SHUNT_CID_OTHER) {
		srv->stats.foreign++;
		log_stray("foreign", "retry", dgram, hd->dcid.data, hd->dcid.datalen, &info);
	}
	if (token == TOKEN_ABSENT && srv->retry) {
		send_retry(srv, hd, dgram);
		return;
	}
	c = conn_new(srv, &origin, dgram);
	if (!c) {
		drop(srv, "no-connection", dgram);
		return;
	}
	switch (conn_receive(c, &hd->dcid, dgram)) {
	case CONN_ALIVE:
		break;
	case CONN_GONE:
		conn_free(c);
		break;
	case CONN_WANTS_RETRY:
		conn_free(c);
		send_retry(srv, hd, dgram);
		break;
	case CONN_NOT_INITIAL:
		conn_free(c);
		/*
		 * Initial keys come from the first DCID the client used. An Initial that does not
		 * decrypt with its own DCID is a later one, and its DCID was chosen by a server.
		 */
		if (!info.server_id_length)
			drop(srv, "initial-undecryptable", dgram);
		else
			stray(srv, NULL, &hd->dcid, dgram);
		break;
	}
}

/* A client may choose the DCID of an attempt that is over: its own ID tells the two apart. */
static bool new_attempt(const struct cid_entry *e, const struct datagram *dgram)
{
	ngtcp2_pkt_hd hd;

	if (!e->initial_dcid || (e->conn && e->conn->state == CONN_OPEN))
		return false;
	return ngtcp2_pkt_decode_hd_long(&hd, dgram->data, dgram->len) > 0 &&
	       hd.type == NGTCP2_PKT_INITIAL && !ngtcp2_cid_eq(&e->peer, &hd.scid);
}

/* A long header whose DCID belongs to no connection, dead or alive. */
static void unknown_long_header(struct server *srv, const ngtcp2_cid *dcid,
				const struct datagram *dgram)
{
	ngtcp2_pkt_hd hd;

	if (ngtcp2_pkt_decode_hd_long(&hd, dgram->data, dgram->len) < 0) {
		drop(srv, "malformed", dgram);
	} else if (hd.type == NGTCP2_PKT_INITIAL) {
		/* RFC 9000 14.1 and 7.2; after Retry the DCID is ours and may be shorter. */
		if (dgram->len < MIN_INITIAL_DATAGRAM ||
		    (!hd.token.len && dcid->datalen < NGTCP2_MIN_INITIAL_DCIDLEN))
			drop(srv, "initial-too-short", dgram);
		else
			first_initial(srv, &hd, dgram);
	} else if (hd.type == NGTCP2_PKT_0RTT) {
		/* Its Initial is still on the way; the client repeats what is lost here. */
		drop(srv, "0rtt-before-initial", dgram);
	} else {
		stray(srv, NULL, dcid, dgram);
	}
}

static void dispatch(struct server *srv, const struct datagram *dgram)
{
	ngtcp2_version_cid vc;
	struct cid_entry *e;
	ngtcp2_cid dcid;
	int rc;

	srv->stats.packets++;
	if (!dgram->len) {
		drop(srv, "empty", dgram);
		return;
	}
	rc = ngtcp2_pkt_decode_version_cid(&vc, dgram->data, dgram->len,
					   cids_short_length(&srv->cids,
							     dgram->len > 1 ? dgram->data[1] : 0));
	if (rc == NGTCP2_ERR_VERSION_NEGOTIATION && dgram->len >= MIN_INITIAL_DATAGRAM) {
		send_version_negotiation(srv, &vc, dgram);
		return;
	}
	if (rc || vc.dcidlen > NGTCP2_MAX_CIDLEN) {
		drop(srv, "malformed", dgram);
		return;
	}
	ngtcp2_cid_init(&dcid, vc.dcid, vc.dcidlen);
	e = cidmap_find(srv->map, dcid.data, dcid.datalen);
	if (e && (dgram->data[0] & LONG_HEADER) && new_attempt(e, dgram)) {
		cidmap_drop(srv->map, e);
		e = NULL;
	}
	if (e && e->conn) {
		struct conn *c = e->conn;

		if (conn_receive(c, &dcid, dgram) != CONN_ALIVE)
			conn_free(c);
	} else if (!e && (dgram->data[0] & LONG_HEADER)) {
		unknown_long_header(srv, &dcid, dgram);
	} else {
		stray(srv, e, &dcid, dgram);
	}
}

static void receive(struct server *srv, struct udp *udp)
{
	static uint8_t buf[MAX_DATAGRAM];
	struct datagram dgram = { .udp = udp, .data = buf };

	/* A bounded batch: timers and the other sockets get their turn under load. */
	for (int i = 0; i < MAX_BATCH; i++) {
		ssize_t n = udp_receive(udp, buf, sizeof(buf), &dgram.peer, &dgram.peer_len,
					&dgram.ecn);

		if (n < 0)
			return;
		dgram.len = (size_t)n;
		dispatch(srv, &dgram);
	}
}

static void run_timers(struct server *srv)
{
	uint64_t now = now_ns();
	struct timer *t;

	while ((t = timer_first(&srv->timers)) && t->at <= now) {
		if (conn_timeout(t->owner) != CONN_ALIVE)
			conn_free(t->owner);
	}
}

static void log_summary(const struct stats *s)
{
	log_begin("summary");
	log_num("connections", s->connections);
	log_num("handshakes", s->handshakes);
	log_num("packets", s->packets);
	log_num("stale", s->stale);
	log_num("foreign", s->foreign);
	log_num("dropped", s->dropped);
	log_num("paths", s->paths);
	log_num("retries", s->retries);
	log_num("version_negotiations", s->version_negotiations);
	log_num("requests", s->requests);
	log_num("early_data", s->early_data);
	log_end();
}

void server_log_active(const struct server *srv)
{
	unsigned int active = shunt_cid_active(srv->cids.lib);

	log_num("config_id", active);
	for (size_t i = 0; i < srv->cids.configs.n; i++) {
		const struct shunt_cid_config *config = &srv->cids.configs.list[i].lib;

		if (config->config_id == active)
			log_hex("server_id", config->server_id, config->server_id_length);
	}
	log_num("cid_length", srv->cids.lengths[active]);
}

static void reload(struct server *srv)
{
	struct cid_configs wanted = srv->cids.configs;
	char why[CID_WHY];

	if (srv->cid_file && (cid_file_read(srv->cid_file, srv->cid_flags, &wanted, why) ||
			      cids_apply(&srv->cids, &wanted, why))) {
		log_begin("configs-refused");
		log_text("why", why);
		log_end();
		return;
	}
	log_begin("configs");
	server_log_active(srv);
	log_num("held", srv->cids.configs.n);
	log_end();
}

static int watch(int epoll, int fd, void *what)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = what };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
}

/* How long epoll may sleep; NULL: until something comes. */
static struct timespec *sleep_time(const struct server *srv, struct timespec *ts)
{
	struct timer *t = timer_first(&srv->timers);
	uint64_t now = now_ns(), left;

	if (!t || t->at == UINT64_MAX)
		return NULL;
	left = t->at > now ? t->at - now : 0;
	ts->tv_sec = (time_t)(left / NGTCP2_SECONDS);
	ts->tv_nsec = (long)(left % NGTCP2_SECONDS);
	return ts;
}

/* True when the server is to end. */
static bool on_signal(struct server *srv, int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo == SIGHUP)
		reload(srv);
	else if (info.ssi_signo == SIGUSR1)
		log_summary(&srv->stats);
	else
		return true;
	return false;
}

static int loop(struct server *srv, int epoll, int signals)
{
	for (;;) {
		struct epoll_event events[MAX_EVENTS];
		struct timespec ts;
		int n = epoll_pwait2(epoll, events, MAX_EVENTS, sleep_time(srv, &ts), NULL);

		if (n < 0 && errno != EINTR)
			return -1;
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				receive(srv, events[i].data.ptr);
			else if (on_signal(srv, signals))
				return 0;
		}
		run_timers(srv);
	}
}

int server_run(struct server *srv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), signals, rc;
	struct conn *c;
	sigset_t set;

	/* The caller has these blocked already, so none is lost on the way to here. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	rc = epoll < 0 || signals < 0 || watch(epoll, signals, NULL) ? -1 : 0;
	for (size_t i = 0; i < srv->nudp && !rc; i++)
		rc = watch(epoll, srv->udp[i].fd, &srv->udp[i]);
	if (!rc)
		rc = loop(srv, epoll, signals);
	if (rc)
		fprintf(stderr,
			"quic-server: waiting for packets: %s: check the limit on open files\n",
			strerror(errno));
	for (c = LIST_FIRST(&srv->conns); c; c = LIST_NEXT(c, all))
		conn_shutdown(c);
	while ((c = LIST_FIRST(&srv->conns)))
		conn_free(c);
	log_summary(&srv->stats);
	if (signals >= 0)
		close(signals);
	if (epoll >= 0)
		close(epoll);
	return rc;
}
