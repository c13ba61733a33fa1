/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads and clears counter maps, whatever their kind: atomic on a card, one a CPU on the host.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow_table.h"
#include "sync.h"

static uint32_t copies(bool percpu)
{
	return percpu ? (uint32_t)libbpf_num_possible_cpus() : 1;
}

static void add_up(uint64_t *sums, const uint64_t *values, size_t words, uint32_t each)
{
	memset(sums, 0, words * sizeof(*sums));
	for (uint32_t i = 0; i < each; i++)
		for (size_t j = 0; j < words; j++)
			sums[j] += values[i * words + j];
}

/* Per-CPU arrays know batches from 5.13 on, a card's maps never. size: of an entry, all its copies. */
static int read_singly(int fd, uint32_t n, char *values, size_t size)
{
	for (uint32_t i = 0; i < n; i++)
		if (bpf_map_lookup_elem(fd, &i, values + i * size))
			return -errno;
	return 0;
}

/* A card too small for all of them holds the first. */
static uint32_t held(int fd, uint32_t n)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) || info.max_entries > n ?
		       n :
		       info.max_entries;
}

int sync_words(int fd, bool percpu, uint32_t all, size_t words, uint64_t *sums)
{
	uint32_t each = copies(percpu), n = held(fd, all), got = n, next;
	size_t entry = words * each; /* in words */
	uint64_t *values = calloc(n * entry + 1, sizeof(*values));
	uint32_t *keys = calloc(n + 1, sizeof(*keys));
	int err = 0;

	if (!values || !keys)
		err = -ENOMEM;
	else if ((bpf_map_lookup_batch(fd, NULL, &next, keys, values, &got, NULL) &&
		  errno != ENOENT) ||
		 got < n)
		err = read_singly(fd, n, (char *)values, entry * sizeof(*values));
	for (uint32_t i = 0; !err && i < n; i++)
		add_up(sums + i * words, values + i * entry, words, each);
	if (!err)
		memset(sums + n * words, 0, (all - n) * words * sizeof(*sums));
	free(keys);
	free(values);
	return err;
}

int sync_counts(int fd, bool percpu, uint32_t all, struct lb_count *counts)
{
	return sync_words(fd, percpu, all, sizeof(*counts) / sizeof(uint64_t), (uint64_t *)counts);
}

int sync_zero_counts(int fd, bool percpu, uint32_t index)
{
	struct lb_count *zeros = calloc(copies(percpu), sizeof(*zeros));
	int err;

	if (!zeros)
		return -ENOMEM;
	err = bpf_map_update_elem(fd, &index, zeros, BPF_ANY) ? -errno : 0;
	free(zeros);
	return err;
}

static void carry(int from, int to, uint32_t n, size_t size)
{
	void *value = calloc(1, size);

	for (uint32_t i = 0; value && i < n; i++)
		if (!bpf_map_lookup_elem(from, &i, value))
			bpf_map_update_elem(to, &i, value, BPF_ANY);
	free(value);
}

void sync_carry(const struct map_set *from, const struct map_set *to)
{
	size_t each = copies(from->percpu) * sizeof(struct lb_count);
	uint32_t pools = from->sizes.pools < to->sizes.pools ? from->sizes.pools : to->sizes.pools;
	uint32_t cids = LB_CID_INDEX(pools + 1, 0);
	uint32_t servers = from->sizes.servers < to->sizes.servers ? from->sizes.servers :
								     to->sizes.servers;
	uint32_t vips = from->sizes.vips < to->sizes.vips ? from->sizes.vips : to->sizes.vips;

	carry(from->reason_stats, to->reason_stats, LB_REASON_COUNT, each);
	carry(from->vip_stats, to->vip_stats, vips + 1, each);
	carry(from->server_stats, to->server_stats, servers, each);
	carry(from->cid_stats, to->cid_stats, cids, each);
	if (from->cid_seen >= 0 && to->cid_seen >= 0)
		carry(from->cid_seen, to->cid_seen, cids, sizeof(uint64_t));
	if (from->flow_stats >= 0 && to->flow_stats >= 0)
		carry(from->flow_stats, to->flow_stats, LB_FLOW_COUNT_COUNT,
		      copies(true) * sizeof(struct lb_count)); /* one a CPU in every set */
	flow_table_carry(from, to);
}
