/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sums that wait for their maps. See tally.h.
 */
#include "tally.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>

/* Of one map: what is to be added, and to which entries. */
struct sums {
	int map;
	uint32_t n, n_touched;
	uint32_t *touched;
	struct lb_count *counts;
	struct lb_count *held; /* one a CPU; NULL: the map has one */
};

struct tally {
	struct sums reasons, vips, servers, cids, flows;
	int seen; /* when each config last routed a packet */
};

static bool open_sums(struct sums *sums, int map, uint32_t n)
{
	*sums = (struct sums){ .map = map, .n = n };
	sums->counts = calloc(n, sizeof(*sums->counts));
	sums->touched = calloc(n, sizeof(*sums->touched));
	return sums->counts && sums->touched;
}

static bool make_percpu(struct sums *sums)
{
	sums->held = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*sums->held));
	return sums->held;
}

static void close_sums(struct sums *sums)
{
	free(sums->held);
	free(sums->counts);
	free(sums->touched);
}

struct tally *tally_new(const struct map_set *set)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (tally)
		tally->seen = set->cid_seen;
	if (tally && open_sums(&tally->reasons, set->reason_stats, LB_REASON_COUNT) &&
	    open_sums(&tally->vips, set->vip_stats, set->sizes.vips + 1) &&
	    open_sums(&tally->servers, set->server_stats, set->sizes.servers) &&
	    open_sums(&tally->cids, set->cid_stats, LB_CID_INDEX(set->sizes.pools + 1, 0)) &&
	    open_sums(&tally->flows, set->flow_stats, LB_FLOW_COUNT_COUNT) &&
	    make_percpu(&tally->flows))
		return tally;
	tally_free(tally);
	return NULL;
}

void tally_free(struct tally *tally)
{
	if (!tally)
		return;
	close_sums(&tally->flows);
	close_sums(&tally->cids);
	close_sums(&tally->servers);
	close_sums(&tally->vips);
	close_sums(&tally->reasons);
	free(tally);
}

static void add(struct sums *sums, uint32_t index, uint64_t packets, uint64_t octets)
{
	struct lb_count *count = index < sums->n ? &sums->counts[index] : NULL;

	if (!count)
		return;
	if (!count->packets)
		sums->touched[sums->n_touched++] = index;
	count->packets += packets;
	count->octets += octets;
}

/* As lb_finish() does it. */
void tally_add(struct tally *tally, const struct relay_count *count)
{
	add(&tally->reasons, count->reason, 1, count->octets);
	if (!count->vip)
		return;
	add(&tally->vips, count->vip, 1, count->octets);
	if (!count->server)
		return;
	add(&tally->servers, count->server, 1, count->octets);
	if (count->reason == LB_REASON_cid)
		add(&tally->cids, LB_CID_INDEX(count->pool, count->config_id), 1, count->octets);
}

void tally_flow(struct tally *tally, enum lb_flow_counter counter)
{
	add(&tally->flows, counter, 1, 0);
}

void tally_lost(struct tally *tally, uint64_t packets)
{
	add(&tally->reasons, LB_REASON_overloaded, packets, 0);
}

/* Somebody may have set an entry to zero, so it is read first. */
static void bring(struct sums *sums)
{
	for (uint32_t i = 0; i < sums->n_touched; i++) {
		uint32_t index = sums->touched[i];
		struct lb_count one, *held = sums->held ? sums->held : &one;

		if (!bpf_map_lookup_elem(sums->map, &index, held)) {
			held->packets += sums->counts[index].packets;
			held->octets += sums->counts[index].octets;
			bpf_map_update_elem(sums->map, &index, held, BPF_ANY);
		}
		sums->counts[index] = (struct lb_count){};
	}
	sums->n_touched = 0;
}

/* As lb_cid_seen() of lb/maps.h: who asks when a config can go has to know of these packets, too. */
static void note_seen(const struct tally *tally, uint64_t jiffies)
{
	for (uint32_t i = 0; i < tally->cids.n_touched; i++)
		bpf_map_update_elem(tally->seen, &tally->cids.touched[i], &jiffies, BPF_ANY);
}

void tally_bring(struct tally *tally, uint64_t jiffies)
{
	if (jiffies)
		note_seen(tally, jiffies);
	bring(&tally->reasons);
	bring(&tally->vips);
	bring(&tally->servers);
	bring(&tally->cids);
	bring(&tally->flows);
}
