/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walks a card's conn_map, which others change meanwhile. See conns.h.
 */
#include "conns.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

/*
 * Calls meet() for each key until that is false. A key that goes while it is walked leads to the beginning
 * again, so the walk ends after as many keys as there may be.
 */
static void walk(const struct map_set *set, bool (*meet)(const struct lb_conn_key *, void *),
		 void *context)
{
	struct lb_conn_key key, *last = NULL;

	for (uint32_t i = 0; set->conn >= 0 && i < set->sizes.known_cids; i++) {
		if (bpf_map_get_next_key(set->conn, last, &key) || !meet(&key, context))
			return;
		last = &key;
	}
}

static bool count_one(const struct lb_conn_key *key, void *context)
{
	(void)key;
	++*(uint32_t *)context;
	return true;
}

uint32_t conns_count(const struct map_set *set)
{
	uint32_t n = 0;

	walk(set, count_one, &n);
	return n;
}

struct reading {
	int fd;
	struct conns_entry *list;
	uint32_t n;
	int err;
};

static bool read_one(const struct lb_conn_key *key, void *context)
{
	struct reading *reading = context;
	struct conns_entry *entry = &reading->list[reading->n];

	entry->key = *key;
	if (!bpf_map_lookup_elem(reading->fd, key, &entry->conn))
		reading->n++;
	else if (errno != ENOENT)
		reading->err = -errno;
	return !reading->err;
}

static int by_packets(const void *a, const void *b)
{
	const struct conns_entry *one = a, *other = b;

	return (one->conn.packets < other->conn.packets) -
	       (one->conn.packets > other->conn.packets);
}

int conns_read(const struct map_set *set, struct conns_entry **list, uint32_t *n)
{
	struct reading reading = { .fd = set->conn };

	reading.list = calloc(set->sizes.known_cids + 1, sizeof(*reading.list));
	*list = reading.list;
	*n = 0;
	if (!reading.list)
		return -ENOMEM;
	walk(set, read_one, &reading);
	if (reading.err) {
		free(reading.list);
		*list = NULL;
		return reading.err;
	}
	qsort(reading.list, reading.n, sizeof(*reading.list), by_packets);
	*n = reading.n;
	return 0;
}
