/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sizes of a card's maps by trying: as wished, else as much of that as the device takes, and no less
 * than what is needed. Pure: the trying is the caller's.
 */
#ifndef SHUNT_FIT_H
#define SHUNT_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fit_map {
	const char *name;
	uint32_t wanted, floor; /* entries: floor <= wanted */
	uint32_t entries; /* what to try, and after fit_find() what the device takes */
};

/*
 * Whether the device takes all of these at once, with their entries; it must hold none of them
 * afterwards. 0, or -errno and which was refused.
 */
typedef int (*fit_try)(const struct fit_map *maps, size_t n, size_t *refused, void *context);

/* Why not even the floor fits. */
struct fit_refusal {
	size_t map;
	bool alone; /* also with no other map there */
	uint32_t takes; /* alone: the most entries found to be taken, 0: none */
	uint64_t before, total; /* together: entries taken before this map, and of all */
};

/* Whether fewer entries may help against this errno. */
bool fit_helps(int error);
/* 0, or -errno and the refusal. */
int fit_find(struct fit_map *maps, size_t n, fit_try take, void *context,
	     struct fit_refusal *refusal);

#endif
