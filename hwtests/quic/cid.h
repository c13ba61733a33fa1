/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one place that knows how this server's connection IDs are made and read back. */
#ifndef HWTESTS_QUIC_CID_H
#define HWTESTS_QUIC_CID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CID_MAX_LEN = 20,
	CID_MAX_SERVER_ID = 15,
	CID_MIN_NONCE = 4,
	CID_MAX_BODY = 19,
	CID_CONFIG_NONE = 7,
};

struct cid_config {
	uint8_t config_id; /* 0 to 6, or CID_CONFIG_NONE: no configuration, nothing to decode */
	uint8_t server_id[CID_MAX_SERVER_ID];
	uint8_t server_id_len;
	uint8_t nonce_len;
	bool describe_length; /* the first octet's low five bits tell the length */
};

enum cid_class {
	CID_OWN, /* decodes to this server */
	CID_OTHER, /* decodes to another server of the same configuration */
	CID_UNKNOWN, /* not of this configuration: says nothing about a server */
};

/* What a decoded connection ID holds; the pointers go into the connection ID itself. */
struct cid_parts {
	const uint8_t *server_id;
	size_t server_id_len;
	const uint8_t *nonce;
	size_t nonce_len;
};

/* NULL if the configuration is sound, else what is wrong with it. */
const char *cid_config_check(const struct cid_config *cfg);

/* The length of every connection ID that cid_issue() makes. */
size_t cid_length(const struct cid_config *cfg);

/* Make a fresh connection ID in cid[CID_MAX_LEN]; returns its length, 0 if there is no entropy. */
size_t cid_issue(const struct cid_config *cfg, uint8_t *cid);

/* Whose connection ID is this? parts may be NULL; it is set for CID_OWN and CID_OTHER only. */
enum cid_class cid_classify(const struct cid_config *cfg, const uint8_t *cid, size_t len,
			    struct cid_parts *parts);

#endif
