/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The card's cid_stats into the host's cid_seen_map. See seen.h.
 */
#include "seen.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "clock.h"

/* Whoever has not looked for so long has ended, or hangs. */
#define KEPT_SECONDS 10

struct seen {
	const struct map_set *card, *host;
	bool begun;
	uint32_t n;
	uint64_t *packets; /* by the card's index, at the last look */
};

struct seen *seen_new(const struct map_set *card, const struct map_set *host)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	if (!seen)
		return NULL;
	*seen = (struct seen){ .card = card, .host = host };
	seen->n = LB_CID_INDEX(card->sizes.pools + 1, 0);
	seen->packets = calloc(seen->n, sizeof(*seen->packets));
	if (!seen->packets) {
		free(seen);
		return NULL;
	}
	return seen;
}

void seen_free(struct seen *seen)
{
	if (!seen)
		return;
	free(seen->packets);
	free(seen);
}

/* Packets may set the same entry meanwhile, to the same time or one tick off. */
static void write_time(const struct map_set *host, uint32_t index, uint64_t now)
{
	uint64_t before = 0;

	if (bpf_map_lookup_elem(host->cid_seen, &index, &before) || before >= now)
		return;
	bpf_map_update_elem(host->cid_seen, &index, &now, BPF_ANY);
}

int seen_look(struct seen *seen, const struct stacked *stacked)
{
	bool all = !seen->begun && !seen_is_kept(seen->host);
	uint64_t now;
	int err = clock_jiffies(&now);

	for (uint32_t i = 0; !err && i < stacked->n; i++) {
		uint32_t index = stacked->cids[i].card;
		struct lb_count count;

		if (index >= seen->n)
			continue;
		if (bpf_map_lookup_elem(seen->card->cid_stats, &index, &count))
			return -errno;
		if (count.packets && (seen->begun ? count.packets != seen->packets[index] : all))
			write_time(seen->host, stacked->cids[i].host, now);
		seen->packets[index] = count.packets;
	}
	if (!err && stacked->n)
		write_time(seen->host, 0, now);
	seen->begun |= !err && stacked->n;
	return err;
}

bool seen_is_kept(const struct map_set *host)
{
	uint32_t zero = 0;
	uint64_t then = 0, now;

	return host->cid_seen >= 0 && !bpf_map_lookup_elem(host->cid_seen, &zero, &then) && then &&
	       !clock_jiffies(&now) && clock_seconds(then, now) < KEPT_SECONDS;
}
