/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connection IDs by a configuration, both ways, with the data path's own lb/cid.h. Pure but for the
 * random numbers.
 */
#ifndef SHUNT_CID_H
#define SHUNT_CID_H

#include <stddef.h>

#include "config.h"
#include "lb/counters.h"

#define CID_MAX_OCTETS 255 /* what a long header can say (RFC 8999 section 5.1) */

/*
 * The servers by their server ids. pool: whose VIPs the packets are for; CONFIG_NO_POOL: each for a
 * VIP of the pool of the server that it names. 0 or -ENOMEM.
 */
struct cid_index;
int cid_index_open(const struct config *config, uint32_t pool, struct cid_index **index);
void cid_index_close(struct cid_index *index);

/* A part of the connection ID. n 0: it is not there. */
struct cid_part {
	const uint8_t *octets;
	size_t n;
};

struct cid_explained {
	enum lb_reason reason; /* LB_REASON_cid: routable */
	bool needs_pool; /* pools differ in the config, and none was said: nothing else is known */
	const struct config_cid *config; /* NULL: the first octet names none that there is */
	/* In clear, as far as there are octets for them; of an encrypted body only all or nothing. */
	struct cid_part server_id, nonce, extra;
	uint8_t body[LB_BODY_MAX]; /* where server_id and nonce are */
	const struct config_pool *pool; /* NULL: no server has this server id */
	const struct config_server *server;
	/* How likely a random CID hits a server of odds_pool: this, or the pool that is hit most. */
	double odds;
	const struct config_pool *odds_pool; /* NULL: there is no pool */
};

/* What becomes of a connection ID in a packet with a long header. */
void cid_explain(const struct cid_index *index, const uint8_t *octets, size_t n,
		 struct cid_explained *explained);

struct cid_request {
	const struct config_cid *config;
	const struct config_server_id *server_id;
	struct cid_part nonce; /* n 0: random */
	struct cid_part extra;
	bool no_length; /* the low five bits of the first octet are random, not the length */
};

/*
 * Writes at most LB_CID_MAX octets, and the nonce that is in it to another LB_NONCE_MAX. Returns how
 * many octets the CID has, or -EMSGSIZE (extra too long), -errno.
 */
int cid_make(const struct cid_request *request, uint8_t *octets, uint8_t *nonce);

struct cid_server {
	const struct config_pool *pool;
	const struct config_server *server;
	uint32_t pool_number; /* index into pools */
};

/* By "NAME" or "POOL/NAME". 0, or -EINVAL with the problem. */
int cid_find_server(const struct config *config, const char *name, struct cid_server *found,
		    char *problem, size_t size);
/* The server's first id in a config, NULL if it has none. */
const struct config_server_id *cid_server_id(const struct config_server *server,
					     const struct config_cid *cid);

#endif
