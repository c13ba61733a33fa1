/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration: what the YAML file says, checked. Reads files; knows no maps.
 *
 * A configuration that was applied is kept with the maps (applied.h), so that status, diff and the next
 * apply need no memory of their own.
 */
#ifndef SHUNT_CONFIG_H
#define SHUNT_CONFIG_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lb/abi.h"
#include "tier.h"

#define CONFIG_DEFAULT_PATH	 "/etc/shunt/shunt.yaml"
#define CONFIG_NAME_MAX		 63
#define CONFIG_MAX_SERVER_IDS	 (1u << 20)
#define CONFIG_MIN_ROWS		 16
#define CONFIG_DEFAULT_WEIGHT	 100
#define CONFIG_DEFAULT_MIN_QUIET 600
#define CONFIG_DEFAULT_BUDGET	 100000
#define CONFIG_DEFAULT_VIP_SHARE 50
/* RFC 9000 section 10.1: peers give up after their own idle time, seldom above 30 s before a handshake. */
#define CONFIG_DEFAULT_HANDSHAKE_TIMEOUT 15
#define CONFIG_DEFAULT_IDLE_TIMEOUT	 300
#define CONFIG_DEFAULT_ICMP_ANSWERS	 100
#define CONFIG_PATH_MAX			 256
#define CONFIG_KEY_SIZE			 16
#define CONFIG_NO_POOL			 UINT32_MAX

/* IPv4 in octets[0..3], the rest zero; network order. family 0: not given. */
struct config_address {
	int family; /* AF_INET, AF_INET6, 0 */
	uint8_t octets[16];
};

enum config_mode { CONFIG_MODE_IPIP, CONFIG_MODE_L2DSR, CONFIG_MODE_GUE, CONFIG_MODE_NAT };
enum config_state { CONFIG_UP, CONFIG_DRAIN }; /* server: draining takes no new connections */
enum config_cid_state { CONFIG_ACTIVE, CONFIG_RETIRING };

struct config_interface {
	char name[16];
	enum tier tier; /* TIER_NONE: auto */
	enum tier require; /* TIER_NONE: any */
	bool exclusive; /* sharing: exclusive (default) or dispatcher */
};

struct config_cid {
	uint8_t id; /* 0 to 6 */
	uint8_t server_id_length;
	uint8_t nonce_length;
	enum config_cid_state state;
	enum lb_length_check length_check;
	uint32_t pool; /* index into pools whose VIPs it is for, CONFIG_NO_POOL: all */
	bool keyed;
	/* As the file names it; the key itself is wiped by config_free() and never written anywhere. */
	char key_file[CONFIG_PATH_MAX];
	uint8_t key[CONFIG_KEY_SIZE]; /* zero in a configuration that was read back from the maps */
	char fingerprint
		[7]; /* the key check value, AES(key, 0)'s first three octets in hex; "" in clear */
};

struct config_server_id {
	uint8_t config; /* config id */
	uint8_t length;
	uint8_t id[LB_SERVER_ID_MAX];
};

struct config_server {
	char name[CONFIG_NAME_MAX + 1];
	struct config_address address;
	enum config_mode mode; /* forwarding.mode, unless the server has its own */
	uint16_t port; /* host order; of nat alone, 0: the VIP's */
	uint32_t weight; /* 0 to 65535, default 100; 0: no new connections */
	enum config_state state;
	uint32_t n_ids;
	struct config_server_id *ids;
};

struct config_pool {
	char name[CONFIG_NAME_MAX + 1];
	uint32_t n_servers;
	struct config_server *servers;
};

struct config_vip {
	char name[CONFIG_NAME_MAX + 1];
	struct config_address address;
	uint16_t port; /* host order */
	uint32_t pool; /* index into pools */
};

struct config_limits {
	/* Highest number each; sized for two generations. */
	uint32_t servers, server_ids, vips, pools;
	uint32_t known_cids; /* encrypted CIDs that a card is told of, at most */
	uint32_t flows; /* that conn_track remembers, 0: none */
	uint32_t cached_cids; /* encrypted CIDs that a CPU remembers the servers of, 0: none */
};

/* What is remembered of flows without a routable connection ID: lb/abi.h, struct lb_setting. */
struct config_tracking {
	uint32_t budget; /* new flows a CPU and second */
	uint32_t vip_share; /* percent of it that one VIP may use */
	uint32_t handshake_timeout, idle_timeout; /* seconds */
};

struct config {
	uint32_t n_interfaces, n_cids, n_pools, n_vips;
	struct config_interface *interfaces;
	struct config_cid *cids;
	struct config_pool *pools;
	struct config_vip *vips;
	enum config_mode mode;
	struct config_address source_v4, source_v6; /* outer source of ipip and gue */
	uint16_t gue_port; /* host order */
	/* Octets of IP packets: of clients at most, and on the way to the servers. 0: not stated. */
	uint32_t client_mtu, server_mtu;
	uint32_t icmp_answers; /* a CPU and second */
	struct config_tracking tracking;
	uint32_t min_quiet; /* seconds; see apply.h */
	uint32_t rows; /* of the fallback table, a power of two */
	struct config_limits limits;
};

/* One finding: where in the file, and what is wrong (or, for a warning, risky) there. */
struct config_finding {
	bool warning;
	char path[128]; /* "vips[1].pool" */
	char text[256];
};

struct config_findings {
	uint32_t n, errors;
	struct config_finding *list;
};

/*
 * Reads and checks a file ("-": stdin). 0 and *config (config_free() it), or -EINVAL with every
 * error in findings, or another -errno (cannot be read: one finding with an empty path). Warnings
 * come with success too. findings must be zeroed before, config_findings_free() after.
 */
int config_load(const char *path, struct config **config, struct config_findings *findings);
/* The same for text that is already in memory. */
int config_parse(const char *text, size_t length, struct config **config,
		 struct config_findings *findings);
void config_free(struct config *config);
void config_findings_free(struct config_findings *findings);

/* Everything in it as JSON of the file's shape; of keys the fingerprint alone. */
json_t *config_to_json(const struct config *config);
/* Whether they say the same; of keys the fingerprints count. */
bool config_equal(const struct config *a, const struct config *b);

/* As the file names it. */
const char *config_mode_text(enum config_mode mode);
/* "clear", "single-pass" or "four-pass": it follows from key and lengths (draft section 5.4). */
const char *config_algorithm(const struct config_cid *cid);
/* Whether a CID means the same under both: lengths and key. */
bool config_same_meaning(const struct config_cid *a, const struct config_cid *b);
/* "kcv:aabbcc", in a buffer of CONFIG_KEY_TEXT, or NULL for a config in clear. */
const char *config_key_text(const struct config_cid *cid, char *buffer);
#define CONFIG_KEY_TEXT 16
/* "none", "at-least" or "equal" */
const char *config_length_check(const struct config_cid *cid);
/* The config that packets for this pool's VIPs find under an id, NULL if there is none. */
const struct config_cid *config_find_cid(const struct config *config, uint32_t pool, uint32_t id);
/* The same for all ids of a pool at once. */
void config_find_cids(const struct config *config, uint32_t pool,
		      const struct config_cid *found[LB_CONFIG_IDS]);
/* How likely a random connection ID, if it is long enough, hits a server of the pool. */
double config_random_odds(const struct config *config, uint32_t pool);
/* Where a config's key file is, seen from the current folder: the configuration is in `file`. */
int config_key_path(const struct config_cid *cid, const char *file, char *path, size_t size);

/* "192.0.2.1", "2001:db8::1" into a buffer of INET6_ADDRSTRLEN. Returns the buffer. */
const char *config_address_text(const struct config_address *address, char *buffer);
int config_address_parse(const char *text, struct config_address *address); /* 0 or -EINVAL */
bool config_address_equal(const struct config_address *a, const struct config_address *b);

/* "c4605e" or "c4:60:5e". Returns the number of octets, -EINVAL, or -ENOSPC for more than max. */
int config_hex_parse(const char *text, uint8_t *octets, size_t max);
/* Into a buffer of 2 * n + 1. Returns the buffer. */
const char *config_hex_text(const uint8_t *octets, size_t n, char *buffer);

/* What a user wrote, as it may be shown: printable ASCII, cut to the buffer. Returns the buffer. */
const char *config_shown(const char *text, char *buffer, size_t size);
#define CONFIG_SHOWN 64

/*
 * What changes from `before` (NULL: nothing) to `after`: one object a change,
 * {"change": "add"|"remove"|"modify", "path": "pools.web.servers.web-1", "field": "weight",
 *  "before": …, "after": …}. Things are matched by name (cid configs by id and pool). Where a key
 * file lies is no difference, what is in it is. New reference.
 */
json_t *config_diff(const struct config *before, const struct config *after);

#endif
