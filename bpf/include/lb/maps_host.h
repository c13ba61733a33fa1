/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of lb/maps.h where there is no kernel beneath: tables in memory, which whoever includes this
 * points at one generation. Static: each file has its own, and none is written to.
 */
#ifndef LB_MAPS_HOST_H
#define LB_MAPS_HOST_H

#include <stddef.h>

#include "lb/abi.h"
#include "lb/cipher.h"

struct lb_host_map {
	const void *values;
	__u32 n, size;
};

static struct lb_host_map meta_map, generation_map, vip_map, cid_config_map, cid_key_map, sid_map,
	row_map;
/* What only some ask. */
static struct lb_host_map address_map __attribute__((unused));

static inline const void *bpf_map_lookup_elem(const struct lb_host_map *map, const __u32 *index)
{
	return *index < map->n ? (const char *)map->values + (size_t)*index * map->size : NULL;
}

static inline const struct lb_cid_key *lb_cid_key(__u32 index)
{
	return bpf_map_lookup_elem(&cid_key_map, &index);
}

/* Times are the kernel's to keep. */
static inline void lb_cid_seen(__u32 index, const struct lb_cid_config *config, const void *cid,
			       const void *end)
{
	(void)index;
	(void)config;
	(void)cid;
	(void)end;
}

static inline __u32 lb_known_server(const struct lb_conn_key *key)
{
	(void)key;
	return 0;
}

#endif
