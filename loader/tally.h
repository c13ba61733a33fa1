/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The counters of the tier userspace: added up in memory, brought into its maps a round at a time, for a
 * system call a packet would cost more than the packet.
 */
#ifndef SHUNT_TALLY_H
#define SHUNT_TALLY_H

#include "relay.h"
#include "sync.h"

struct tally;

struct tally *tally_new(const struct map_set *set); /* NULL: no memory */
void tally_free(struct tally *tally);
void tally_add(struct tally *tally, const struct relay_count *count);
void tally_flow(struct tally *tally, enum lb_flow_counter counter);
/* Packets whose octets nobody knows. */
void tally_lost(struct tally *tally, uint64_t packets);
/* What was added since the last time. jiffies: of now, for the configs that routed packets; 0: not known. */
void tally_bring(struct tally *tally, uint64_t jiffies);

#endif
