/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keeps each latency that was measured, for their quantiles. */
#include "load.h"

#include <errno.h>
#include <stdlib.h>

enum {
	FIRST_ROOM = 4096,
};

int samples_add(struct samples *samples, uint64_t value)
{
	if (samples->n == samples->room) {
		size_t room = samples->room ? 2 * samples->room : FIRST_ROOM;
		uint64_t *list = realloc(samples->list, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		samples->list = list;
		samples->room = room;
	}
	samples->list[samples->n++] = value;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void samples_sort(struct samples *samples)
{
	if (samples->n)
		qsort(samples->list, samples->n, sizeof(*samples->list), by_value);
}

uint64_t samples_quantile(const struct samples *samples, double which)
{
	size_t at = (size_t)(which * (double)samples->n);

	if (!samples->n)
		return 0;
	return samples->list[at < samples->n ? at : samples->n - 1];
}
