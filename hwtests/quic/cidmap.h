/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which connection a connection ID belongs to, with a bounded memory of those that are gone. */
#ifndef HWTESTS_QUIC_CIDMAP_H
#define HWTESTS_QUIC_CIDMAP_H

#include <stdbool.h>
#include <sys/queue.h>
#include <ngtcp2/ngtcp2.h>

struct conn;

struct cid_entry {
	TAILQ_ENTRY(cid_entry) chain; /* in its bucket */
	TAILQ_ENTRY(cid_entry) age; /* among the dead */
	LIST_ENTRY(cid_entry) mine; /* among its connection's */
	ngtcp2_cid cid;
	ngtcp2_cid peer; /* with initial_dcid: the client's own ID, tells two attempts apart */
	struct conn *conn; /* NULL: dead */
	bool initial_dcid; /* the first Initial's DCID: client-chosen, or a Retry's SCID */
	bool retired; /* died while its connection lived on */
};

LIST_HEAD(cid_list, cid_entry);
TAILQ_HEAD(cid_queue, cid_entry);

struct cidmap;

struct cidmap *cidmap_new(void);
void cidmap_free(struct cidmap *map);

struct cid_entry *cidmap_find(struct cidmap *map, const uint8_t *cid, size_t len);

/* Add a live entry and put it into the connection's list; NULL without memory. */
struct cid_entry *cidmap_add(struct cidmap *map, const ngtcp2_cid *cid, struct conn *conn,
			     struct cid_list *list);

/* Take an entry out of its connection but remember it until newer dead ones push it out. */
void cidmap_bury(struct cidmap *map, struct cid_entry *e, bool retired);

/* Forget an entry at once, dead or alive. */
void cidmap_drop(struct cidmap *map, struct cid_entry *e);

#endif
