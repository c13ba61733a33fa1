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

/* The servers by their server ids. */
struct cid_index;
int cid_index_open(const struct config *config, struct cid_index **index); /* 0 or -ENOMEM */
void cid_index_close(struct cid_index *index);

/* A part of the connection ID. n 0: it is not there. */
struct cid_part {
	const uint8_t *octets;
	size_t n;
};

struct cid_explained {
	enum lb_reason reason; /* LB_REASON_cid: routable */
	const struct config_cid *config; /* NULL: the first octet names none that there is */
	struct cid_part server_id, nonce, extra; /* as far as there are octets for them */
	const struct config_pool *pool; /* NULL: no server has this server id */
	const struct config_server *server;
};

/* What becomes of a connection ID in a packet for a VIP of the server's pool. */
void cid_explain(const struct cid_index *index, const uint8_t *octets, size_t n,
		 struct cid_explained *explained);

struct cid_request {
	const struct config_cid *config;
	const struct config_server_id *server_id;
	struct cid_part nonce; /* n 0: random */
	struct cid_part extra;
	bool no_length; /* the low five bits of the first octet are random, not the length */
};

/* Writes at most LB_CID_MAX octets. Returns how many, or -EMSGSIZE (extra too long), -errno. */
int cid_make(const struct cid_request *request, uint8_t *octets);

/* By id; NULL if there is none. */
const struct config_cid *cid_config(const struct config *config, uint32_t id);

#endif
