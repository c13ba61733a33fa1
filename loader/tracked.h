/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * conn_track for the user-space balancer: flows.h over a tier's map, with a budget of its own. Routes nothing.
 */
#ifndef SHUNT_TRACKED_H
#define SHUNT_TRACKED_H

#include "flows.h"
#include "tables.h"
#include "tally.h"

struct tracked;

/*
 * writes: the tier has the map for itself. Else a host tier above remembers flows, and what it passed up is
 * only looked for, for its map of what is recent is not user space's to write. NULL: no memory.
 */
struct tracked *tracked_new(const struct map_set *set, struct tally *tally, bool writes);
void tracked_free(struct tracked *tracked);
/* The kernel's clock once more: from time to time, for the two drift apart. */
void tracked_set_clock(struct tracked *tracked);
/* The kernel's jiffies now; 0: its clock cannot be read. */
uint64_t tracked_jiffies(const struct tracked *tracked);
/* For the packets of this turn. NULL: the kernel's clock cannot be read, so nothing is remembered. */
const struct flows *tracked_turn(struct tracked *tracked, const struct lb_setting *setting);

#endif
