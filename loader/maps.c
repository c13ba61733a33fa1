/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A tier's maps as a set: sized before load, taken from an object or from pins, checked against the
 * layout this loader was built with.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/cipher.h"
#include "sync.h"

#define TEXT_PIECES 8192 /* two generations of up to 16 MiB; memory only for what is used */

struct map_row {
	const char *name;
	size_t offset; /* of its descriptor in struct map_set */
	uint32_t key_size, value_size;
	enum { EVERYWHERE, HOST_ONLY, CARD_ONLY } where;
};

#define ROW(map, field, key, value, where)                                              \
	{                                                                               \
		map, offsetof(struct map_set, field), sizeof(key), sizeof(value), where \
	}
static const struct map_row rows[] = {
	ROW(LB_MAP_META, meta, __u32, struct lb_meta, EVERYWHERE),
	ROW(LB_MAP_GENERATION, generation, __u32, struct lb_generation, EVERYWHERE),
	ROW(LB_MAP_VIP, vip, __u32, struct lb_bucket, EVERYWHERE),
	ROW(LB_MAP_CID_CONFIG, cid_config, __u32, struct lb_cid_config, EVERYWHERE),
	ROW(LB_MAP_SID, sid, __u32, struct lb_bucket, EVERYWHERE),
	ROW(LB_MAP_ROW, row, __u32, __u32, EVERYWHERE),
	ROW(LB_MAP_SERVER, server, __u32, struct lb_server, EVERYWHERE),
	ROW(LB_MAP_REASON_STATS, reason_stats, __u32, struct lb_count, EVERYWHERE),
	ROW(LB_MAP_VIP_STATS, vip_stats, __u32, struct lb_count, EVERYWHERE),
	ROW(LB_MAP_SERVER_STATS, server_stats, __u32, struct lb_count, EVERYWHERE),
	ROW(LB_MAP_CID_STATS, cid_stats, __u32, struct lb_count, EVERYWHERE),
	ROW(LB_MAP_CONN, conn, struct lb_conn_key, struct lb_conn, CARD_ONLY),
	ROW(LB_MAP_EGRESS, egress, __u32, __u32, HOST_ONLY),
	ROW(LB_MAP_CID_KEY, cid_key, __u32, struct lb_cid_key, HOST_ONLY),
	ROW(LB_MAP_CID_SEEN, cid_seen, __u32, __u64, HOST_ONLY),
	ROW(LB_MAP_CID_SAMPLE, cid_sample, __u32, struct lb_cid_sample, HOST_ONLY),
	ROW(LB_MAP_CID_CACHE, cid_cache, __u32, struct lb_cid_cache_page, HOST_ONLY),
	ROW(LB_MAP_CACHE_STATE, cache_state, __u32, struct lb_cid_cache_state, HOST_ONLY),
	ROW(LB_MAP_SETTING, setting, __u32, struct lb_setting, HOST_ONLY),
	ROW(LB_MAP_ADDRESS, address, __u32, struct lb_bucket, HOST_ONLY),
	ROW(LB_MAP_VIP_ADDRESS, vip_address, __u32, struct lb_vip, HOST_ONLY),
	ROW(LB_MAP_CONN_TRACK, conn_track, struct lb_flow_key, struct lb_flow, HOST_ONLY),
	ROW(LB_MAP_FLOW_RECENT, flow_recent, __u32, struct lb_recent, HOST_ONLY),
	ROW(LB_MAP_FLOW_BUDGET, flow_budget, __u32, struct lb_flow_budget, HOST_ONLY),
	ROW(LB_MAP_FLOW_STATS, flow_stats, __u32, struct lb_count, HOST_ONLY),
	ROW(LB_MAP_TEXT, text, struct lb_text_key, char[LB_TEXT_PIECE], EVERYWHERE),
};
#undef ROW
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static int *descriptor(const struct map_set *set, const struct map_row *row)
{
	return (int *)((char *)set + row->offset);
}

static void set_init(struct map_set *set)
{
	memset(set, 0, sizeof(*set));
	for (size_t i = 0; i < N_ROWS; i++)
		*descriptor(set, &rows[i]) = -1;
}

void map_set_close(struct map_set *set)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		int *fd = descriptor(set, &rows[i]);

		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

/*
 * A slot a flow, 2 MiB for the default. Twice as many would no longer fit a CPU's own cache, and cost a flood more
 * than they spare it.
 */
static uint32_t recent_entries(uint32_t flows)
{
	uint32_t n = 1;

	while (n * LB_RECENT_SLOTS < flows)
		n <<= 1;
	return n;
}

uint32_t map_set_entries(const char *map, const struct plan_sizes *sizes)
{
	const struct {
		const char *name;
		uint32_t entries;
	} wanted[] = {
		{ LB_MAP_VIP, 2 * sizes->vip_buckets },
		{ LB_MAP_CID_CONFIG, 2 * LB_CID_INDEX(sizes->pools + 1, 0) },
		{ LB_MAP_CID_KEY, 2 * LB_CID_INDEX(sizes->pools + 1, 0) },
		{ LB_MAP_CID_SEEN, LB_CID_INDEX(sizes->pools + 1, 0) },
		{ LB_MAP_SID, 2 * sizes->sid_buckets },
		{ LB_MAP_ROW, 2 * sizes->rows },
		{ LB_MAP_SERVER, 2 * sizes->servers },
		{ LB_MAP_REASON_STATS, LB_REASON_COUNT },
		{ LB_MAP_VIP_STATS, sizes->vips + 1 },
		{ LB_MAP_SERVER_STATS, sizes->servers },
		{ LB_MAP_CID_STATS, LB_CID_INDEX(sizes->pools + 1, 0) },
		{ LB_MAP_STACK_STATS, LB_STACK_VIP(LB_INGRESS, sizes->vips + 1) + sizes->servers },
		{ LB_MAP_CONN, sizes->known_cids },
		{ LB_MAP_CID_CACHE, sizes->cache_pages ? sizes->cache_pages : 1 },
		{ LB_MAP_ADDRESS, 2 * sizes->address_buckets },
		{ LB_MAP_VIP_ADDRESS, 2 * (sizes->vips + 1) },
		/* No map has no entry; that nothing is remembered is the setting's to say. */
		{ LB_MAP_CONN_TRACK, sizes->flows ? sizes->flows : 1 },
		{ LB_MAP_FLOW_RECENT, recent_entries(sizes->flows) },
		{ LB_MAP_FLOW_BUDGET, sizes->vips + 1 },
		{ LB_MAP_FLOW_STATS, LB_FLOW_COUNT_COUNT },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!strcmp(map, wanted[i].name))
			return wanted[i].entries;
	return 0;
}

int map_set_size_object(struct bpf_object *object, const struct plan_sizes *sizes)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		uint32_t n = map_set_entries(bpf_map__name(map), sizes);
		int err = n ? bpf_map__set_max_entries(map, n) : 0;

		if (err)
			return err;
	}
	return 0;
}

int map_set_make_mappable(struct bpf_object *object)
{
	static const char *const large[] = { LB_MAP_SID, LB_MAP_ROW, LB_MAP_SERVER,
					     LB_MAP_ADDRESS };
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(large) / sizeof(large[0]); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, large[i]);

		if (map)
			err = bpf_map__set_map_flags(map, bpf_map__map_flags(map) | BPF_F_MMAPABLE);
	}
	return err;
}

static uint32_t entries(int fd)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.max_entries;
}

static bool is_percpu(int fd)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &length) &&
	       info.type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/*
 * The maps themselves know how large they are: nothing to keep beside them. On a card each has been
 * cut to what the device takes, so the smallest of those that hold the same counts.
 */
static int read_sizes(struct map_set *set, struct reason *reason)
{
	uint32_t configs = smaller(entries(set->cid_stats), entries(set->cid_config) / 2);

	set->percpu = is_percpu(set->reason_stats);
	set->sizes = (struct plan_sizes){
		.vip_buckets = entries(set->vip) / 2,
		.sid_buckets = entries(set->sid) / 2,
		.rows = entries(set->row) / 2,
		.servers = smaller(entries(set->server) / 2, entries(set->server_stats)),
		.vips = smaller(entries(set->vip_stats) - 1, entries(set->vip) / 4),
		.pools = configs < LB_CID_INDEX(1, 0) ? 0 : configs / LB_CID_INDEX(1, 0) - 1,
		.known_cids = entries(set->conn),
		.address_buckets = entries(set->address) / 2,
		.flows = entries(set->conn_track),
		.cache_pages = entries(set->cid_cache),
	};
	/* Only of a device that went away meanwhile does the kernel not tell. */
	if (set->sizes.servers && set->sizes.rows && set->sizes.vip_buckets &&
	    set->sizes.sid_buckets && (set->conn < 0 || set->sizes.known_cids))
		return 0;
	return reason_set(reason, REASON_DEVICE_GONE, "map", ENODEV, "sizes of the maps");
}

static int check_layout(int fd, const struct map_row *row, struct reason *reason)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return reason_set(reason, REASON_UNKNOWN, "map", errno, "%s", row->name);
	if (info.key_size == row->key_size && info.value_size == row->value_size)
		return 0;
	return reason_set(reason, REASON_ABI, "map", EINVAL,
			  "%s: key %u, value %u octets; this loader wants %u, %u", row->name,
			  info.key_size, info.value_size, row->key_size, row->value_size);
}

static int create_text_map(struct reason *reason)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, LB_MAP_TEXT, sizeof(struct lb_text_key),
				LB_TEXT_PIECE, TEXT_PIECES, &options);

	return fd >= 0 ? fd : reason_set(reason, REASON_UNKNOWN, "map-create", errno, LB_MAP_TEXT);
}

int map_set_from_object(struct map_set *set, const struct bpf_object *object, struct reason *reason)
{
	int err;

	set_init(set);
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct bpf_map *map = bpf_object__find_map_by_name(object, rows[i].name);
		int *fd = descriptor(set, &rows[i]);

		if (!map)
			continue;
		*fd = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3);
		err = *fd < 0 ?
			      reason_set(reason, REASON_UNKNOWN, "map", errno, "%s", rows[i].name) :
			      check_layout(*fd, &rows[i], reason);
		if (err)
			goto fail;
	}
	set->text = create_text_map(reason);
	if (set->text < 0) {
		err = set->text;
		set->text = -1;
		goto fail;
	}
	err = read_sizes(set, reason);
	if (!err)
		return 0;
fail:
	map_set_close(set);
	return err;
}

/* As many entries as the maps that they replace. */
int map_set_own_counters(struct map_set *set, struct reason *reason)
{
	int *const fds[] = { &set->reason_stats, &set->vip_stats, &set->server_stats,
			     &set->cid_stats };
	static const char *const names[] = { LB_MAP_REASON_STATS, LB_MAP_VIP_STATS,
					     LB_MAP_SERVER_STATS, LB_MAP_CID_STATS };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, names[i], sizeof(__u32),
					sizeof(struct lb_count), entries(*fds[i]), NULL);

		if (fd < 0)
			return reason_set(reason, REASON_UNKNOWN, "map-create", errno, "%s",
					  names[i]);
		close(*fds[i]);
		*fds[i] = fd;
	}
	set->percpu = false;
	return 0;
}

int map_set_from_pins(struct map_set *set, const char *directory, struct reason *reason)
{
	char path[256];
	int err = 0;

	set_init(set);
	if (access(directory, F_OK))
		return reason_set(reason, REASON_NOT_ATTACHED, "pins", ENOENT, "%s", directory);
	for (size_t i = 0; i < N_ROWS && !err; i++) {
		int *fd = descriptor(set, &rows[i]);

		snprintf(path, sizeof(path), "%s/%s", directory, rows[i].name);
		*fd = bpf_obj_get(path);
		if (*fd >= 0)
			err = check_layout(*fd, &rows[i], reason);
		else if (errno == EPERM || errno == EACCES)
			err = reason_set(reason, REASON_NO_PERMISSION, "pins", errno, "%s: CAP_BPF",
					 path);
		else if (rows[i].where == EVERYWHERE)
			err = reason_set(reason, REASON_ABI, "pins", errno, "%s", path);
	}
	if (!err)
		err = read_sizes(set, reason);
	if (err)
		map_set_close(set);
	return err;
}

int map_set_pin(const struct map_set *set, const char *directory, struct reason *reason)
{
	char path[256];

	for (size_t i = 0; i < N_ROWS; i++) {
		int fd = *descriptor(set, &rows[i]);

		if (fd < 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, rows[i].name);
		if (bpf_obj_pin(fd, path))
			return reason_set(reason, REASON_UNKNOWN, "pin", errno, "%s", path);
		/* Who may read the maps may learn the routes; later the keys. */
		if (chmod(path, 0600))
			return reason_set(reason, REASON_UNKNOWN, "pin", errno, "%s", path);
	}
	return 0;
}
