/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes a plan into the half of the maps that no packet reads, then turns meta_map[0].active.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "applied.h"
#include "half.h"
#include "lb/cipher.h"
#include "recount.h"
#include "setting.h"
#include "sync.h"

#define N_IMAGES 8

/* Rows up to the last pool that there is: what lies behind them no packet asks for. */
static uint32_t used_rows(const struct plan *plan)
{
	uint32_t highest = 0;

	for (uint32_t i = 0; i < plan->config->n_pools; i++)
		if (plan->pool_number[i] > highest)
			highest = plan->pool_number[i];
	return (highest + 1) << plan->row_shift;
}

/* What there is to write: a card has no map for keys. Returns how many. */
static int images(const struct map_set *set, const struct plan *plan, struct half_image *image)
{
	const struct plan_sizes *sizes = &set->sizes;

#define PART(name, fd, values, n, stride)                      \
	{                                                      \
		name, fd, values, n, sizeof(*(values)), stride \
	}
#define IMAGE(name, fd, values, n) PART(name, fd, values, n, n)
	const struct half_image all[N_IMAGES] = {
		IMAGE(LB_MAP_SERVER, set->server, plan->servers, sizes->servers),
		PART(LB_MAP_ROW, set->row, plan->rows, used_rows(plan), sizes->rows),
		IMAGE(LB_MAP_SID, set->sid, plan->sid_table, sizes->sid_buckets),
		IMAGE(LB_MAP_CID_KEY, set->cid_key, plan->keys, plan->n_cids),
		IMAGE(LB_MAP_CID_CONFIG, set->cid_config, plan->cids, plan->n_cids),
		IMAGE(LB_MAP_ADDRESS, set->address, plan->address_table, sizes->address_buckets),
		IMAGE(LB_MAP_VIP_ADDRESS, set->vip_address, plan->vips, sizes->vips + 1),
		IMAGE(LB_MAP_VIP, set->vip, plan->vip_table, sizes->vip_buckets),
	};
#undef IMAGE
#undef PART
	int n = 0;

	for (int i = 0; i < N_IMAGES; i++)
		if (all[i].fd >= 0)
			image[n++] = all[i];
	return n;
}

static struct lb_generation describe(const struct map_set *set, const struct plan *plan,
				     uint32_t half, uint32_t number)
{
	return (struct lb_generation){
		.number = number,
		.vip_base = half * set->sizes.vip_buckets,
		.vip_mask = set->sizes.vip_buckets - 1,
		.sid_base = half * set->sizes.sid_buckets,
		.sid_mask = set->sizes.sid_buckets - 1,
		.row_base = half * set->sizes.rows,
		.row_mask = (1u << plan->row_shift) - 1,
		.server_base = half * set->sizes.servers,
		.config_base = half * plan->n_cids,
		.half = half,
		/* A map has an entry even where the file wants none. */
		.cache_pages = plan->config->limits.cached_cids ? set->sizes.cache_pages : 0,
	};
}

static int write_text(const struct map_set *set, uint32_t half, const struct pack *text)
{
	struct lb_text_key key = { .generation = half };
	char piece[LB_TEXT_PIECE];

	for (size_t at = 0; at < text->n; at += sizeof(piece), key.piece++) {
		size_t part = text->n - at < sizeof(piece) ? text->n - at : sizeof(piece);

		memset(piece, 0, sizeof(piece));
		memcpy(piece, text->octets + at, part);
		if (bpf_map_update_elem(set->text, &key, piece, BPF_ANY))
			return -errno;
	}
	/* What a longer text left behind. */
	while (!bpf_map_delete_elem(set->text, &key))
		key.piece++;
	return 0;
}

/* Whole pieces, so more than was written. */
static int read_text(const struct map_set *set, uint32_t half, struct pack *text)
{
	struct lb_text_key key = { .generation = half };
	char piece[LB_TEXT_PIECE];

	for (; !bpf_map_lookup_elem(set->text, &key, piece) && !text->error; key.piece++)
		pack_octets(text, piece, sizeof(piece));
	text->reads = true;
	return text->error;
}

static int read_active(const struct map_set *set, struct lb_meta *meta,
		       struct lb_generation *generation, struct reason *reason)
{
	uint32_t zero = 0;

	memset(generation, 0, sizeof(*generation));
	if (bpf_map_lookup_elem(set->meta, &zero, meta))
		return reason_set(reason, REASON_UNKNOWN, "map-read", errno, LB_MAP_META);
	if (!meta->magic)
		return 0;
	if (meta->magic != LB_MAGIC || meta->abi != LB_ABI)
		return reason_set(reason, REASON_ABI, "map-read", 0,
				  "map layout %u (%08x), not %u (%08x)", meta->abi, meta->magic,
				  LB_ABI, LB_MAGIC);
	if (bpf_map_lookup_elem(set->generation, &meta->active, generation))
		return reason_set(reason, REASON_UNKNOWN, "map-read", errno, LB_MAP_GENERATION);
	return 0;
}

int sync_tables(const struct map_set *set, struct lb_generation *tables)
{
	struct reason ignored = {};
	struct lb_meta meta;

	return read_active(set, &meta, tables, &ignored);
}

int sync_read(const struct map_set *set, struct config **config, struct plan_numbers **numbers,
	      uint32_t *generation, struct reason *reason)
{
	struct plan_numbers *found = NULL;
	struct lb_generation running;
	struct pack text = {};
	struct lb_meta meta;
	int err = read_active(set, &meta, &running, reason);

	*config = NULL;
	*generation = 0;
	if (numbers)
		*numbers = NULL;
	if (err || !running.number)
		return err;
	err = read_text(set, meta.active, &text);
	if (!err)
		err = applied_unpack(&text, &set->sizes, config, &found);
	pack_free(&text);
	*generation = running.number;
	if (err)
		return reason_set(reason, REASON_ABI, "map-read", -err, "%s cannot be read",
				  LB_MAP_TEXT);
	if (numbers)
		*numbers = found;
	else
		plan_numbers_free(found);
	return 0;
}

static bool holds_text(const struct map_set *set, uint32_t half, const struct pack *text)
{
	struct pack held = {};
	bool same = !read_text(set, half, &held) && held.octets && held.n >= text->n &&
		    held.n - text->n < LB_TEXT_PIECE && !memcmp(held.octets, text->octets, text->n);

	pack_free(&held);
	return same;
}

static bool holds_plan(const struct map_set *set, const struct half_image *image, int n,
		       uint32_t half, const struct pack *text)
{
	bool same = holds_text(set, half, text);

	for (int i = 0; same && i < n; i++)
		same = half_same(&image[i], half);
	return same;
}

/* No image has it, and with nothing else it may change. */
static bool holds_ingress_mtu(const struct map_set *set, const struct plan *plan, uint32_t half)
{
	struct lb_setting held;

	return set->setting < 0 || (!bpf_map_lookup_elem(set->setting, &half, &held) &&
				    held.ingress_mtu == plan->ingress_mtu);
}

/*
 * Answers of nat servers leave by any interface of the file. One that is not there now is applied to anew
 * when it comes; one that went meanwhile the map does not take.
 */
static void add_client_egress(const struct map_set *set, const struct plan *plan)
{
	for (uint32_t i = 0; plan->has_nat && i < plan->config->n_interfaces; i++) {
		uint32_t key = if_nametoindex(plan->config->interfaces[i].name);

		if (key)
			bpf_map_update_elem(set->egress, &key, &key, BPF_ANY);
	}
}

static bool is_client_egress(const struct plan *plan, uint32_t egress)
{
	for (uint32_t i = 0; plan->has_nat && i < plan->config->n_interfaces; i++)
		if (if_nametoindex(plan->config->interfaces[i].name) == egress)
			return true;
	return false;
}

/* Devices are added before a packet may be sent there. The kernel takes out those that vanish. */
static int add_egress(const struct map_set *set, const struct plan *plan)
{
	uint32_t last = 0;

	if (set->egress >= 0)
		add_client_egress(set, plan);
	for (uint32_t i = 0; set->egress >= 0 && i < plan->sizes.servers; i++) {
		uint32_t key = plan->servers[i].egress;

		if (key && key != last && bpf_map_update_elem(set->egress, &key, &key, BPF_ANY))
			return -errno;
		last = key;
	}
	return 0;
}

static bool uses_egress(const struct array *servers, uint32_t n, uint32_t egress)
{
	for (uint32_t i = 0; i < n; i++)
		if (((const struct lb_server *)array_at(servers, i))->egress == egress)
			return true;
	return false;
}

/* And taken out when this half, the one packets read, sends none there, nor this plan any answer. */
static void prune_egress(const struct map_set *set, const struct plan *plan, uint32_t half)
{
	const struct half_image image = {
		LB_MAP_SERVER,	   set->server, NULL, set->sizes.servers, sizeof(struct lb_server),
		set->sizes.servers
	};
	struct array servers;
	uint32_t key, next;
	int err;

	if (set->egress < 0 || half_open(&image, half, &servers))
		return;
	err = bpf_map_get_next_key(set->egress, NULL, &next);
	while (!err) {
		key = next;
		err = bpf_map_get_next_key(set->egress, &key, &next);
		if (!uses_egress(&servers, image.n, key) && !is_client_egress(plan, key))
			bpf_map_delete_elem(set->egress, &key);
	}
	array_close(&servers);
}

static int write_setting(const struct map_set *set, const struct plan *plan, uint32_t half,
			 uint32_t number)
{
	struct lb_setting before = {}, setting;
	uint32_t other = !half;

	if (set->setting < 0)
		return 0;
	if (bpf_map_lookup_elem(set->setting, &other, &before))
		return -errno;
	setting = setting_of(plan, &set->sizes, half, number > 1 ? &before : NULL);
	return bpf_map_update_elem(set->setting, &half, &setting, BPF_ANY) ? -errno : 0;
}

static int write_generation(const struct map_set *set, const struct plan *plan,
			    const struct half_image *image, int n, uint32_t half, uint32_t number,
			    const struct pack *text, struct reason *reason)
{
	struct lb_generation generation = describe(set, plan, half, number);
	const char *what = LB_MAP_EGRESS;
	int err = add_egress(set, plan);

	for (int i = 0; !err && i < n; i++) {
		what = image[i].name;
		err = half_write(&image[i], half);
	}
	if (!err) {
		what = LB_MAP_TEXT;
		err = write_text(set, half, text);
	}
	if (!err) {
		what = LB_MAP_SETTING;
		err = write_setting(set, plan, half, number);
	}
	if (!err) {
		what = LB_MAP_GENERATION;
		if (bpf_map_update_elem(set->generation, &half, &generation, BPF_ANY))
			err = -errno;
	}
	return err ? reason_set(reason, err == -E2BIG ? REASON_CAPACITY : REASON_UNKNOWN,
				"map-write", -err, "%s", what) :
		     0;
}

/*
 * The word. Afterwards no program runs that began before it: membarrier waits for an RCU grace
 * period, so the next apply may write the half that was in use until now. Where the kernel has no
 * membarrier (nohz_full), wait many times longer than a program may run.
 */
static int turn(const struct map_set *set, uint32_t half, struct reason *reason)
{
	struct lb_meta meta = { .magic = LB_MAGIC, .abi = LB_ABI, .active = half };
	uint32_t zero = 0;

	if (bpf_map_update_elem(set->meta, &zero, &meta, BPF_ANY))
		return reason_set(reason, REASON_UNKNOWN, "map-write", errno, LB_MAP_META);
	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	return 0;
}

/* Keys of the generation that was: nobody needs them, so nobody shall find them. */
static void forget_keys(const struct map_set *set, const struct plan *plan, uint32_t half)
{
	struct half_image image = { LB_MAP_CID_KEY, set->cid_key,	 NULL,
				    plan->n_cids,   sizeof(*plan->keys), plan->n_cids };
	void *zeros = calloc(image.n, image.size);

	image.values = zeros;
	if (zeros && set->cid_key >= 0)
		half_write(&image, half);
	free(zeros);
}

static int turn_to(const struct map_set *set, const struct plan *plan,
		   const struct plan_numbers *before, const struct half_image *image, int n,
		   const struct lb_meta *meta, const struct lb_generation *running,
		   const struct pack *text, struct reason *reason)
{
	uint32_t half = running->number ? !meta->active : 0;
	int err;

	/* What was never applied to has nothing to forget. */
	if (running->number)
		recount_before(set, before, plan);
	err = write_generation(set, plan, image, n, half, running->number + 1, text, reason);
	if (!err)
		err = turn(set, half, reason);
	if (!err && running->number) {
		recount_after(set, before, plan);
		forget_keys(set, plan, !half);
	}
	if (running->number || !err)
		prune_egress(set, plan, err ? meta->active : half);
	return err;
}

int sync_apply(const struct map_set *set, const struct plan *plan,
	       const struct plan_numbers *before, bool dry_run, uint32_t *generation, bool *changed,
	       struct reason *reason)
{
	struct half_image image[N_IMAGES];
	struct lb_generation running;
	struct pack text = {};
	struct lb_meta meta;
	int n, err = read_active(set, &meta, &running, reason);

	if (err)
		return err;
	err = applied_pack(plan, &text);
	if (err) {
		pack_free(&text);
		return reason_set(reason, REASON_UNKNOWN, "plan", -err, NULL);
	}
	n = images(set, plan, image);
	*generation = running.number;
	*changed = !running.number || !holds_plan(set, image, n, meta.active, &text) ||
		   !holds_ingress_mtu(set, plan, meta.active);
	if (*changed && !dry_run) {
		err = turn_to(set, plan, before, image, n, &meta, &running, &text, reason);
		if (!err)
			*generation = running.number + 1;
	} else if (!dry_run && add_egress(set, plan)) {
		/* A device that came back under its old index is in the plan, but not in the map. */
		err = reason_set(reason, REASON_UNKNOWN, "map-write", errno, LB_MAP_EGRESS);
	}
	pack_free(&text);
	return err;
}
