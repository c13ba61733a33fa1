/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads and clears counter maps, whatever their kind: atomic on a card, one a CPU on the host.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync.h"

static uint32_t copies(bool percpu)
{
	return percpu ? (uint32_t)libbpf_num_possible_cpus() : 1;
}

static void add_up(struct lb_count *counts, const struct lb_count *values, uint32_t n,
		   uint32_t each)
{
	for (uint32_t i = 0; i < n; i++) {
		counts[i] = (struct lb_count){};
		for (uint32_t j = 0; j < each; j++) {
			counts[i].packets += values[i * each + j].packets;
			counts[i].octets += values[i * each + j].octets;
		}
	}
}

/* Per-CPU arrays know batches from 5.13 on, a card's maps never. */
static int read_singly(int fd, uint32_t n, struct lb_count *values, uint32_t each)
{
	for (uint32_t i = 0; i < n; i++)
		if (bpf_map_lookup_elem(fd, &i, values + i * each))
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

int sync_counts(int fd, bool percpu, uint32_t all, struct lb_count *counts)
{
	uint32_t each = copies(percpu), n = held(fd, all), got = n, next;
	struct lb_count *values = calloc((size_t)n * each + 1, sizeof(*values));
	uint32_t *keys = calloc(n + 1, sizeof(*keys));
	int err = 0;

	if (!values || !keys)
		err = -ENOMEM;
	else if ((bpf_map_lookup_batch(fd, NULL, &next, keys, values, &got, NULL) &&
		  errno != ENOENT) ||
		 got < n)
		err = read_singly(fd, n, values, each);
	if (!err) {
		add_up(counts, values, n, each);
		memset(counts + n, 0, (all - n) * sizeof(*counts));
	}
	free(keys);
	free(values);
	return err;
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
}
