/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libshunt-cid: the connection IDs of one server behind a QUIC-LB balancer
 * (draft-ietf-quic-load-balancers-21), issued and decoded. shunt-cid(3) is the manual.
 */
#ifndef SHUNT_CID_H
#define SHUNT_CID_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#define SHUNT_CID_MAX_LENGTH	20 /* of QUIC versions 1 and 2 */
#define SHUNT_CID_MAX_SERVER_ID 15
#define SHUNT_CID_MAX_WORKER	4
#define SHUNT_CID_KEY_LENGTH	16
#define SHUNT_CID_UNCONFIGURED	7 /* the config id that names no config */

/* Flags of a config. */
#define SHUNT_CID_DESCRIBE_LENGTH 0x1u /* low five bits of the first octet: octets behind it */

/* What a config asks of its server beyond the connection IDs: shunt_cid_rules(). */
#define SHUNT_CID_ONE_ONLY     0x1u /* no NEW_CONNECTION_ID */
#define SHUNT_CID_NO_MIGRATION 0x2u /* transport parameter disable_active_migration */

/* All functions return 0 or one of these, which are negative. */
enum shunt_cid_error {
	SHUNT_CID_OK = 0,
	SHUNT_CID_ERR_ARGUMENT = -1,
	SHUNT_CID_ERR_CONFIG_ID = -2,
	SHUNT_CID_ERR_SERVER_ID = -3,
	SHUNT_CID_ERR_NONCE = -4,
	SHUNT_CID_ERR_LENGTH = -5,
	SHUNT_CID_ERR_WORKER = -6,
	SHUNT_CID_ERR_WORKER_KEY = -7,
	SHUNT_CID_ERR_HELD = -8,
	SHUNT_CID_ERR_ACTIVE = -9,
	SHUNT_CID_ERR_NOT_HELD = -10,
	SHUNT_CID_ERR_ROOM = -11,
	SHUNT_CID_ERR_EXHAUSTED = -12,
	SHUNT_CID_ERR_ENTROPY = -13,
	SHUNT_CID_ERR_MEMORY = -14,
	SHUNT_CID_ERR_FORKED = -15,
	SHUNT_CID_ERR_STATE_CLEAR = -16,
	SHUNT_CID_ERR_STATE_OPEN = -17, /* errno says why */
	SHUNT_CID_ERR_STATE_BUSY = -18,
	SHUNT_CID_ERR_STATE_DAMAGED = -19,
	SHUNT_CID_ERR_STATE_WRITE = -20, /* errno says why */
	SHUNT_CID_ERR_KEY_OPEN = -21, /* errno says why */
	SHUNT_CID_ERR_KEY_EXPOSED = -22,
	SHUNT_CID_ERR_KEY_FORM = -23,
	SHUNT_CID_ERR_STATE_OTHER = -24,
	SHUNT_CID_ERR_KEY_OWNER = -25,
};

/*
 * One server's part of one config, as `shunt server-config` prints it. Zero all of it first. Nothing
 * it points to is kept; the caller wipes its own copies of the keys.
 */
struct shunt_cid_config {
	/* 0 to 6; 7: no config, nonce_length octets of random instead (0: the least, which is 7) */
	uint8_t config_id;
	uint8_t server_id_length; /* 1 to 15 */
	uint8_t nonce_length; /* 4 to 18 */
	uint8_t worker_length; /* 0 to 4 octets behind the nonce, for all servers of a config alike */
	uint8_t server_id[SHUNT_CID_MAX_SERVER_ID];
	uint8_t worker[SHUNT_CID_MAX_WORKER];
	uint32_t flags;
	const uint8_t *key; /* SHUNT_CID_KEY_LENGTH octets; NULL: in clear */
	const uint8_t *worker_key; /* the same, masks the worker; NULL: key does */
	const char *state_file; /* keyed: keeps count of the nonces over a restart; NULL: not kept */
	const void *reserved[4]; /* NULL */
};

enum shunt_cid_owner {
	SHUNT_CID_UNKNOWN, /* no config that is held, or too short for it */
	SHUNT_CID_OWN,
	SHUNT_CID_OTHER, /* another server of the same config */
	SHUNT_CID_RANDOM, /* config id 7: names nobody */
};

struct shunt_cid_info {
	enum shunt_cid_owner owner;
	uint8_t config_id;
	uint8_t server_id_length; /* 0 unless OWN or OTHER */
	uint8_t worker_length; /* 0 if the config has none or the CID no octets for it */
	uint8_t server_id[SHUNT_CID_MAX_SERVER_ID];
	uint8_t worker[SHUNT_CID_MAX_WORKER];
};

/* For the process that opened it; its fork()ed child can only close it. */
struct shunt_cid;

/* With one config, which is active; NULL: without a config. */
int shunt_cid_open(const struct shunt_cid_config *config, struct shunt_cid **opened);

/* Wipes the keys. NULL is allowed. No other thread may be using it. */
void shunt_cid_close(struct shunt_cid *s);

/* Rotation: from now on decoded, not issued; issued from now on; no longer decoded, key wiped. */
int shunt_cid_add_config(struct shunt_cid *s, const struct shunt_cid_config *config);
int shunt_cid_activate(struct shunt_cid *s, unsigned int config_id);
int shunt_cid_retire(struct shunt_cid *s, unsigned int config_id);

/* The id of the active config, 7 if there is none, and in a child. */
unsigned int shunt_cid_active(const struct shunt_cid *s);

/*
 * A fresh connection ID under the active config, or under one that is held. length: room in cid,
 * then the connection ID's length; SHUNT_CID_MAX_LENGTH octets are always enough.
 */
int shunt_cid_issue(struct shunt_cid *s, uint8_t *cid, size_t *length);
int shunt_cid_issue_under(struct shunt_cid *s, unsigned int config_id, uint8_t *cid,
			  size_t *length);

/* Whose it is, as a balancer would read it; what is longer than its config needs is read as well. */
int shunt_cid_decode(struct shunt_cid *s, const uint8_t *cid, size_t length,
		     struct shunt_cid_info *info);

/*
 * The length of the connection IDs of a config, 0 if it is not held, and in a child. For the first
 * octet of a short header's connection ID: shunt_cid_length(s, octet >> 5).
 */
size_t shunt_cid_length(const struct shunt_cid *s, unsigned int config_id);

/* SHUNT_CID_ONE_ONLY and the like, for connection IDs of the active config. */
unsigned int shunt_cid_rules(const struct shunt_cid *s);

/* How many more can be issued under a config: UINT64_MAX if nobody will ever count so far. */
int shunt_cid_left(struct shunt_cid *s, unsigned int config_id, uint64_t *left);

/* A key from the caller's or root's file of 16 octets or 32 digits, closed to all but its owner. */
int shunt_cid_read_key(const char *path, uint8_t *key);

/* What is wrong and what to do; never NULL. */
const char *shunt_cid_strerror(int error);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
