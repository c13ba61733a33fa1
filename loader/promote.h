/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which encrypted CIDs a card should know: the hottest of those that were met more than once, within its
 * budget, for as long as they are used. Pure: no kernel, no maps; memory is fixed from the start.
 */
#ifndef SHUNT_PROMOTE_H
#define SHUNT_PROMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/abi.h"

/* More than this is not kept up with: each is looked at in turn, some hundreds a second. */
#define PROMOTE_MAX 65536
/*
 * Samples before a CID is promoted. A made-up one decodes by chance and is met once: its nonce alone has
 * 32 bits or more.
 */
#define PROMOTE_SAMPLES 3
/* What was counted counts half after this. */
#define PROMOTE_HALF_LIFE_MS 60000
/* Not used for so long: it goes. */
#define PROMOTE_IDLE_MS 30000
/* A full card changes one for another that is so many times as hot, and not before this. */
#define PROMOTE_COMPARE_MS 5000 /* between two comparisons of all with all */
#define PROMOTE_HOTTER	   2
#define PROMOTE_STAY_MS	   10000

/* An entry that is to be put on the card or taken off. */
struct promote_change {
	struct lb_conn_key key;
	uint32_t server;
	bool drop;
};

struct promote;

/* budget: entries of the card's map. seed: nobody else knows it. NULL: no memory. */
struct promote *promote_new(uint32_t budget, uint32_t seed);
void promote_free(struct promote *promote);

/* A CID was met and decoded. packets: how many of the host tier's the sample stands for. */
void promote_sample(struct promote *promote, const struct lb_conn_key *key, uint32_t server,
		    double packets, int64_t now_ms);
/* The card has this entry already. False: it cannot be kept, so it has to be taken off. */
bool promote_adopt(struct promote *promote, const struct lb_conn_key *key, uint32_t server,
		   uint64_t packets, int64_t now_ms);
/* The next promoted one whose counter is to be read, in turn; NULL: there is none. */
const struct lb_conn_key *promote_next(struct promote *promote);
/* Its counter. */
void promote_counted(struct promote *promote, const struct lb_conn_key *key, uint64_t packets,
		     int64_t now_ms);
/* It is not on the card, whatever was thought. */
void promote_forget(struct promote *promote, const struct lb_conn_key *key);
/* Drops all that means nothing any more: those of which means() is false. */
void promote_revise(struct promote *promote,
		    bool (*means)(const struct lb_conn_key *key, void *context), void *context);
/* The card is full with what it has. */
void promote_full(struct promote *promote);

/*
 * What is to be done now, in this order: at most n changes. They count as done; promote_forget() what failed.
 * Returns how many.
 */
size_t promote_turn(struct promote *promote, int64_t now_ms, struct promote_change *changes,
		    size_t n);

uint32_t promote_count(const struct promote *promote);
uint32_t promote_budget(const struct promote *promote);

#endif
