/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a configuration to the exact contents of the maps. Pure: no kernel, no libbpf.
 */
#ifndef SHUNT_PLAN_H
#define SHUNT_PLAN_H

#include <stdint.h>

#include "config.h"
#include "lb/abi.h"

struct lb_cid_key; /* lb/cipher.h */

/* How much the maps hold: max_entries of each. Everything but counters holds two generations. */
struct plan_sizes {
	uint32_t vip_buckets, sid_buckets, rows, servers; /* entries a generation */
	uint32_t vips; /* vip_stats, stats: highest VIP number */
	uint32_t pools;
	uint32_t known_cids; /* conn_map, which only a card has; 0: a host tier's set */
	uint32_t address_buckets, flows; /* which only the host has */
	uint32_t cache_pages; /* likewise; a power of two, 0: nothing is cached */
};

/* What the maps must hold for these limits. */
struct plan_sizes plan_sizes(const struct config_limits *limits, uint32_t rows);
/* The least that holds this file: what it has, not what its limits allow. */
struct plan_sizes plan_floor(const struct config *config);

/* A server's way, as nexthop.h finds it. Not resolved: the server's entry stays unset. */
struct plan_hop {
	bool resolved;
	uint32_t egress; /* ifindex, 0: where packets come in */
	uint8_t destination_mac[6], source_mac[6];
	struct config_address source; /* of the route, for a tunnel without a source in the file */
	uint32_t mtu; /* of the way, octets of an IP packet; 0: not known */
	uint32_t ingress_mtu; /* of where packets come in, the same for all; 0: not known */
	char problem[120]; /* why it is not resolved */
};

/* Numbers given to names: kept from one apply to the next, so that counters keep their meaning. */
struct plan_numbers {
	const struct config *config; /* that has the names; not owned */
	uint32_t *servers, *vips, *pools; /* by position, as in struct plan */
};

struct plan {
	const struct config *config; /* not owned */
	struct plan_sizes sizes;
	uint32_t n_servers; /* of all pools */
	uint32_t *server_number; /* by position: pools in order, servers in order; from 1 */
	uint32_t *vip_number; /* by position in config->vips; from 1 */
	uint32_t *pool_number; /* by position in config->pools; from 1 */
	struct lb_bucket *vip_table; /* sizes.vip_buckets */
	struct lb_bucket *sid_table; /* sizes.sid_buckets */
	uint32_t n_cids; /* (sizes.pools + 1) << 3, by LB_CID_INDEX() */
	struct lb_cid_config *cids;
	struct lb_cid_key *keys; /* wiped by plan_free() */
	uint32_t row_shift;
	uint32_t *rows; /* (pools + 1) << row_shift */
	struct lb_server *servers; /* sizes.servers, by number */
	struct lb_bucket *address_table; /* sizes.address_buckets */
	struct lb_vip *vips; /* sizes.vips + 1, by number */
	bool has_nat; /* some server is reached by nat */
	uint32_t ingress_mtu; /* as struct lb_setting has it */
};

/* The servers of a config in the order of plan->server_number. NULL past the last one. */
const struct config_server *plan_server(const struct config *config, uint32_t position,
					uint32_t *pool);

/*
 * hops: one a server, by position; NULL: none is resolved. before: of the running state, or NULL.
 * 0, -ENOMEM, or -ENOSPC with what in `problem` (needs, has, which limit).
 */
int plan_build(const struct config *config, const struct plan_sizes *sizes,
	       const struct plan_hop *hops, const struct plan_numbers *before, struct plan **plan,
	       char *problem, size_t problem_size);
void plan_free(struct plan *plan);
uint32_t plan_count_servers(const struct config *config);

/* plan_numbers.c: room for the numbers of a config, all 0. NULL: no memory. */
struct plan_numbers *plan_numbers_new(const struct config *config);
void plan_numbers_free(struct plan_numbers *numbers);
/* The number that a config's pool has by its name, 0 if it has none. */
uint32_t plan_pool_number(const struct config *config, const struct plan_numbers *numbers,
			  uint32_t pool);

/* plan_cids.c. What the data path needs to decode a config's CIDs; key is all zero for a clear one. Wipe it. */
void plan_cid(const struct config_cid *cid, struct lb_cid_config *entry, struct lb_cid_key *key);

/* plan_cids.c: the tag of an encrypted config in a pool, by position, with the key that the plan holds. */
uint32_t plan_cid_tag(const struct plan *plan, const struct config_cid *cid, uint32_t pool);

/* plan_numbers.c: before may be NULL. 0 or -ENOMEM. */
int plan_number_all(struct plan *plan, const struct plan_numbers *before);
/* plan_cids.c: the configs of all pools, once numbers are given. */
void plan_build_cids(struct plan *plan);

/* cuckoo filling (table.c): a key that is going to be put in has the cache fetch where it may go. */
void table_expect(const struct lb_bucket *table, uint32_t buckets, const uint32_t *key);
/* 0, or -ENOSPC when the key finds no place. */
int table_insert(struct lb_bucket *table, uint32_t buckets, const uint32_t *key, uint32_t value);

/*
 * Weighted Maglev over a power of two (rows.c). names, weights, numbers: n servers; a weight of 0
 * gets no row. Fills rows with numbers, or 0 everywhere when nobody has weight. 0 or -ENOMEM.
 */
int rows_fill(uint32_t *rows, uint32_t n_rows, uint32_t n, const char *const *names,
	      const uint32_t *weights, const uint32_t *numbers);

#endif
