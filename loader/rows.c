/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rows of a pool's fallback table: Maglev's filling, weighted, over a power of two.
 *
 * Every server has its own order of preference over all rows (an odd step visits each row of a power
 * of two once). They choose in turns, a server of full weight once a round, so the shares come out
 * right and a server that goes or comes moves few rows of the others. The order depends on names
 * alone: two balancers with the same file have the same table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/lookup3.h"
#include "plan.h"

struct chooser {
	const char *name;
	uint32_t number;
	uint32_t weight;
	uint64_t credit;
	uint32_t next, step;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct chooser *)a)->name, ((const struct chooser *)b)->name);
}

static struct lb_hash name_hash(const char *name)
{
	uint32_t words[CONFIG_NAME_MAX / 4 + 1] = {};
	size_t length = strnlen(name, sizeof(words));

	memcpy(words, name, length);
	return lb_lookup3(words, (length + 3) / 4, LB_SEED_MAGLEV);
}

static void choose(struct chooser *chooser, uint32_t *rows, uint32_t mask)
{
	while (rows[chooser->next])
		chooser->next = (chooser->next + chooser->step) & mask;
	rows[chooser->next] = chooser->number;
}

int rows_fill(uint32_t *rows, uint32_t n_rows, uint32_t n, const char *const *names,
	      const uint32_t *weights, const uint32_t *numbers)
{
	struct chooser *choosers = calloc(n ? n : 1, sizeof(*choosers));
	uint32_t n_choosers = 0, most = 0, filled = 0, mask = n_rows - 1;

	if (!choosers)
		return -ENOMEM;
	memset(rows, 0, n_rows * sizeof(*rows));
	for (uint32_t i = 0; i < n; i++) {
		struct lb_hash hash;

		if (!weights[i])
			continue;
		hash = name_hash(names[i]);
		choosers[n_choosers++] = (struct chooser){
			.name = names[i],
			.number = numbers[i],
			.weight = weights[i],
			.next = hash.first & mask,
			.step = (hash.second | 1) & mask,
		};
		if (weights[i] > most)
			most = weights[i];
	}
	qsort(choosers, n_choosers, sizeof(*choosers), by_name);
	while (n_choosers && filled < n_rows) {
		for (uint32_t i = 0; i < n_choosers && filled < n_rows; i++) {
			choosers[i].credit += choosers[i].weight;
			if (choosers[i].credit >= most) {
				choosers[i].credit -= most;
				choose(&choosers[i], rows, mask);
				filled++;
			}
		}
	}
	free(choosers);
	return 0;
}
