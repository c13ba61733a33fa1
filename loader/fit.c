/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finds the sizes of a card's maps. See fit.h.
 *
 * A device may have a limit a map and a budget for all (nfp has both), and tells neither. So each map
 * is tried alone first, which finds its own limit; then all together, and as long as they do not fit
 * the one that is furthest above its floor gives way.
 */
#include "fit.h"

#include <errno.h>

bool fit_helps(int error)
{
	switch (error) {
	case EPERM:
	case EOPNOTSUPP:
	case ENODEV:
	case ETIMEDOUT: /* firmware that does not answer: seconds each time */
	case EIO:
		return false;
	default:
		return true;
	}
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Half of it: tables of a power of two stay one. */
static int try_alone(struct fit_map *map, uint32_t floor, fit_try take, void *context)
{
	size_t refused;
	int error;

	while ((error = take(map, 1, &refused, context)) && fit_helps(-error) &&
	       map->entries > floor)
		map->entries = larger(map->entries / 2, floor);
	return error;
}

static int refuse_alone(struct fit_map *map, fit_try take, void *context, int error,
			struct fit_refusal *refusal)
{
	refusal->alone = true;
	refusal->takes = 0;
	if (fit_helps(-error) && map->floor > 1) {
		map->entries = map->floor / 2;
		if (!try_alone(map, 1, take, context))
			refusal->takes = map->entries;
	}
	map->entries = map->floor;
	return error;
}

static struct fit_map *furthest_above_floor(struct fit_map *maps, size_t n)
{
	struct fit_map *found = NULL;
	uint32_t most = 0;

	for (size_t i = 0; i < n; i++) {
		if (maps[i].entries - maps[i].floor <= most)
			continue;
		most = maps[i].entries - maps[i].floor;
		found = &maps[i];
	}
	return found;
}

static void refuse_together(const struct fit_map *maps, size_t n, struct fit_refusal *refusal)
{
	refusal->alone = false;
	refusal->before = refusal->total = 0;
	for (size_t i = 0; i < n; i++) {
		refusal->total += maps[i].entries;
		if (i < refusal->map)
			refusal->before += maps[i].entries;
	}
}

int fit_find(struct fit_map *maps, size_t n, fit_try take, void *context,
	     struct fit_refusal *refusal)
{
	struct fit_map *widest;
	int error;

	for (size_t i = 0; i < n; i++) {
		maps[i].entries = maps[i].wanted;
		error = try_alone(&maps[i], maps[i].floor, take, context);
		if (error) {
			refusal->map = i;
			return refuse_alone(&maps[i], take, context, error, refusal);
		}
	}
	while ((error = take(maps, n, &refusal->map, context))) {
		widest = fit_helps(-error) ? furthest_above_floor(maps, n) : NULL;
		if (!widest) {
			refuse_together(maps, n, refusal);
			return error;
		}
		widest->entries = larger(widest->entries / 2, widest->floor);
	}
	return 0;
}
