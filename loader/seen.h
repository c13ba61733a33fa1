/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * When a card last routed by a CID config, written down where the host tier below keeps its own times: a
 * card counts packets, and keeps no time.
 */
#ifndef SHUNT_SEEN_H
#define SHUNT_SEEN_H

#include "stacked.h"

struct seen;

/* Neither set is owned. NULL: no memory. */
struct seen *seen_new(const struct map_set *card, const struct map_set *host);
void seen_free(struct seen *seen);
/*
 * To be called every few seconds: configs whose counters moved since were used now, and so were at the
 * first look all that ever were, unless somebody else has looked until now. 0 or -errno.
 */
int seen_look(struct seen *seen, const struct stacked *stacked);

/* Whether somebody looks, so that the host tier's times are those of the card, too. */
bool seen_is_kept(const struct map_set *host);

#endif
