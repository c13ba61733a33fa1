/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A hash table of connection IDs whose dead entries wait in a queue of fixed length. */
#include "cidmap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	BUCKETS = 1 << 16,
	MAX_DEAD = 1 << 16,
};

struct cidmap {
	struct cid_queue bucket[BUCKETS];
	struct cid_queue dead;
	size_t ndead;
	uint64_t seed;
};

struct cidmap *cidmap_new(void)
{
	struct cidmap *map = calloc(1, sizeof(*map));

	if (!map)
		return NULL;
	for (size_t i = 0; i < BUCKETS; i++)
		TAILQ_INIT(&map->bucket[i]);
	TAILQ_INIT(&map->dead);
	/* The keys come from the network: without a seed a peer could fill one bucket. */
	if (getrandom(&map->seed, sizeof(map->seed), 0) != sizeof(map->seed)) {
		free(map);
		return NULL;
	}
	return map;
}

void cidmap_free(struct cidmap *map)
{
	struct cid_entry *e;

	if (!map)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while ((e = TAILQ_FIRST(&map->bucket[i]))) {
			TAILQ_REMOVE(&map->bucket[i], e, chain);
			free(e);
		}
	}
	free(map);
}

static struct cid_queue *bucket_of(struct cidmap *map, const uint8_t *cid, size_t len)
{
	uint64_t h = map->seed ^ len;

	for (size_t i = 0; i < len; i++) {
		h = (h ^ cid[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return &map->bucket[h % BUCKETS];
}

struct cid_entry *cidmap_find(struct cidmap *map, const uint8_t *cid, size_t len)
{
	struct cid_entry *e = TAILQ_FIRST(bucket_of(map, cid, len));

	for (; e; e = TAILQ_NEXT(e, chain)) {
		if (e->cid.datalen == len && !memcmp(e->cid.data, cid, len))
			return e;
	}
	return NULL;
}

struct cid_entry *cidmap_add(struct cidmap *map, const ngtcp2_cid *cid, struct conn *conn,
			     struct cid_list *list)
{
	struct cid_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->cid = *cid;
	e->conn = conn;
	TAILQ_INSERT_HEAD(bucket_of(map, cid->data, cid->datalen), e, chain);
	LIST_INSERT_HEAD(list, e, mine);
	return e;
}

void cidmap_drop(struct cidmap *map, struct cid_entry *e)
{
	if (e->conn) {
		LIST_REMOVE(e, mine);
	} else {
		TAILQ_REMOVE(&map->dead, e, age);
		map->ndead--;
	}
	TAILQ_REMOVE(bucket_of(map, e->cid.data, e->cid.datalen), e, chain);
	free(e);
}

void cidmap_bury(struct cidmap *map, struct cid_entry *e, bool retired)
{
	LIST_REMOVE(e, mine);
	e->conn = NULL;
	e->retired = retired;
	TAILQ_INSERT_TAIL(&map->dead, e, age);
	if (++map->ndead > MAX_DEAD)
		cidmap_drop(map, TAILQ_FIRST(&map->dead));
}
