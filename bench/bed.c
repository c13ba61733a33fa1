/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The program under test with the tables that the loader makes for a file of 1,024 servers.
 */
#include "bench.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "clock.h"
#include "object.h"
#include "objects.h"

/* mode, of the file; family: of the servers. */
static const struct {
	const char *mode;
	int family;
	uint32_t flows, cached_cids; /* limits */
} kinds[BED_KINDS] = {
	[BED_IPIP4] = { "ipip", 4, 0, 0 },
	[BED_IPIP6] = { "ipip", 6, 0, 0 },
	[BED_L2DSR] = { "l2dsr", 4, 0, 0 },
	[BED_GUE4] = { "gue", 4, 0, 0 },
	[BED_GUE6] = { "gue", 6, 0, 0 },
	[BED_NAT4] = { "nat", 4, 0, 0 },
	[BED_NAT6] = { "nat", 6, 0, 0 },
	[BED_FLOWS] = { "ipip", 4, LB_DEFAULT_FLOWS, 0 },
	[BED_NEW] = { "ipip", 4, LB_DEFAULT_FLOWS, 0 },
	[BED_CACHED] = { "ipip", 4, 0, LB_DEFAULT_CACHED },
};

const char *const bed_modes[BED_KINDS] = {
	[BED_IPIP4] = "ipip/4",	 [BED_IPIP6] = "ipip/6", [BED_L2DSR] = "l2dsr",
	[BED_GUE4] = "gue/4",	 [BED_GUE6] = "gue/6",	 [BED_NAT4] = "nat/4",
	[BED_NAT6] = "nat/6",	 [BED_FLOWS] = "ipip/4", [BED_NEW] = "ipip/4",
	[BED_CACHED] = "ipip/4",
};

bool bed_caches(enum bed_kind kind)
{
	return kinds[kind].cached_cids;
}

static bool is_nat(enum bed_kind kind)
{
	return kind == BED_NAT4 || kind == BED_NAT6;
}

bool bed_tracks(enum bed_kind kind)
{
	return kinds[kind].flows;
}

/* Server id and nonce, by enum frame_kind: clear, one block, S <= N, S > N. */
static const struct {
	uint32_t server_id, nonce;
} lengths[] = { { 4, 8 }, { 4, 12 }, { 4, 8 }, { 8, 6 } };

#define N_CONFIGS (sizeof(lengths) / sizeof(lengths[0]))

/* Octets that look random and are the same in every run (the finalizer of splitmix64). */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void write_server(FILE *file, uint32_t position, enum bed_kind kind)
{
	fprintf(file, "      - name: s%u\n        address: ", position);
	if (kinds[kind].family == 6)
		fprintf(file, "fd00::%x\n", position + 1);
	else
		fprintf(file, "10.1.%u.%u\n", position >> 8, position & 0xff);
	if (is_nat(kind))
		fprintf(file, "        port: %u\n", BENCH_SERVER_PORT);
	fprintf(file, "        server_ids:\n");
	for (uint32_t i = 0; i < N_CONFIGS; i++)
		fprintf(file, "          - { config: %u, id: \"%0*llx\" }\n", i,
			(int)(2 * lengths[i].server_id),
			(unsigned long long)(mix((uint64_t)position * N_CONFIGS + i) >>
					     (64 - 8 * lengths[i].server_id)));
}

void bed_write_file(FILE *file, enum bed_kind kind)
{
	fprintf(file,
		"version: 1\n"
		"limits: { servers: %u, server_ids: %u, pools: 1, flows: %u, cached_cids: %u }\n"
		"tracking: { budget: 100000000, vip_share: 100, handshake_timeout: 3600, idle_timeout: 3600 }\n"
		"fallback: { rows: 65536 }\n"
		"cid_configs:\n",
		BENCH_SERVERS, (unsigned int)(BENCH_SERVERS * N_CONFIGS), kinds[kind].flows,
		kinds[kind].cached_cids);
	for (uint32_t i = 0; i < N_CONFIGS; i++)
		fprintf(file, "  - { id: %u, server_id_length: %u, nonce_length: %u }\n", i,
			lengths[i].server_id, lengths[i].nonce);
	fprintf(file, "forwarding: { mode: %s }\n", kinds[kind].mode);
	fprintf(file, "vips:\n");
	/* nat keeps the family. */
	if (kind != BED_NAT6)
		fprintf(file, "  - { name: v4, address: 192.0.2.80, port: %u, pool: all }\n",
			BENCH_PORT);
	if (kind != BED_NAT4)
		fprintf(file, "  - { name: v6, address: \"2001:db8::50\", port: %u, pool: all }\n",
			BENCH_PORT);
	fprintf(file, "pools:\n"
		      "  - name: all\n"
		      "    servers:\n");
	for (uint32_t i = 0; i < BENCH_SERVERS; i++)
		write_server(file, i, kind);
}

struct config *bed_config(enum bed_kind kind)
{
	struct config_findings findings = {};
	struct config *config = NULL;
	char *text = NULL;
	size_t length = 0;
	FILE *file = open_memstream(&text, &length);

	if (!file)
		return NULL;
	bed_write_file(file, kind);
	if (fclose(file) == 0 && config_parse(text, length, &config, &findings) && findings.n)
		fprintf(stderr, "bench: %s: %s\n", findings.list[0].path, findings.list[0].text);
	config_findings_free(&findings);
	free(text);
	if (!config)
		return NULL;
	/* A key from the file system would only be one more thing to clean up. */
	for (uint32_t i = 0; i < config->n_cids; i++) {
		config->cids[i].keyed = config->cids[i].id != FRAME_CLEAR;
		if (config->cids[i].keyed)
			memcpy(config->cids[i].key, frames_key, CONFIG_KEY_SIZE);
	}
	return config;
}

/* Every server behind a next hop of its own, out where packets come in. */
static struct plan_hop *make_hops(const struct config *config)
{
	struct plan_hop *hops = calloc(BENCH_SERVERS, sizeof(*hops));
	uint32_t pool;

	for (uint32_t i = 0; hops && i < BENCH_SERVERS; i++) {
		int family = plan_server(config, i, &pool)->address.family;

		hops[i].resolved = true;
		hops[i].mtu = 1500;
		hops[i].source_mac[0] = 2;
		hops[i].destination_mac[0] = 2;
		hops[i].destination_mac[4] = i >> 8;
		hops[i].destination_mac[5] = i & 0xff;
		config_address_parse(family == AF_INET ? "10.0.0.1" : "fd00:1::1", &hops[i].source);
	}
	return hops;
}

static int fill(struct bed *bed, struct reason *reason)
{
	struct plan_hop *hops = make_hops(bed->config);
	uint32_t generation;
	char problem[200] = "";
	bool changed;
	int error = hops ? plan_build(bed->config, &bed->maps.sizes, hops, NULL, &bed->plan,
				      problem, sizeof(problem)) :
			   -ENOMEM;

	free(hops);
	if (error)
		return reason_set(reason, REASON_UNKNOWN, "plan", -error, "%s", problem);
	return sync_apply(&bed->maps, bed->plan, NULL, false, &generation, &changed, reason);
}

/*
 * The TC programs, with what they read beside a host tier: of the same names as its maps. Each counts in a
 * map of its own.
 */
static int load_stack(struct bed *bed, enum bench_hook hook)
{
	const unsigned char *object = hook == HOOK_INGRESS ? object_ingress : object_egress;
	size_t size = hook == HOOK_INGRESS ? OBJECT_SIZE(ingress) : OBJECT_SIZE(egress);
	struct bpf_map *map, *other;
	int error;

	bed->stack[hook] = bpf_object__open_mem(object, size, NULL);
	if (!bed->stack[hook])
		return -errno;
	error = map_set_size_object(bed->stack[hook], &bed->maps.sizes);
	bpf_object__for_each_map(map, bed->stack[hook]) {
		other = bpf_object__find_map_by_name(bed->object, bpf_map__name(map));
		if (!error && other && !bpf_map__is_internal(map))
			error = bpf_map__reuse_fd(map, bpf_map__fd(other));
	}
	return error ? error : bpf_object__load(bed->stack[hook]);
}

int bed_program(const struct bed *bed, enum bench_hook hook)
{
	if (hook == HOOK_XDP)
		return bed->program;
	return bpf_program__fd(bpf_object__find_program_by_name(
		bed->stack[hook], hook == HOOK_INGRESS ? LB_PROG_INGRESS : LB_PROG_EGRESS));
}

int bed_open(enum tier tier, enum bed_kind kind, struct bed *bed, struct reason *reason)
{
	struct plan_sizes sizes;
	int error;

	bed->tier = tier;
	bed->config = bed_config(kind);
	if (!bed->config)
		return reason_set(reason, REASON_UNKNOWN, "config", EINVAL, "the bench's own file");
	sizes = plan_sizes(&bed->config->limits, bed->config->rows);
	error = attach_load_private(tier, &sizes, &bed->object, &bed->program, &bed->maps, reason);
	if (!error) {
		error = fill(bed, reason);
		if (error) {
			map_set_close(&bed->maps);
			bpf_object__close(bed->object);
			bed->object = NULL;
		}
	}
	for (enum bench_hook hook = HOOK_INGRESS; hook <= HOOK_EGRESS && !error; hook++) {
		if (tier != TIER_DRIVER || (kind != BED_IPIP4 && kind != BED_NAT4))
			continue;
		error = load_stack(bed, hook);
		if (error)
			reason_set(reason, REASON_UNKNOWN, "prog-load", -error, "TC");
	}
	if (error)
		bed_close(bed);
	return error;
}

int bed_reload(struct bed *bed, struct reason *reason)
{
	const struct object_request request = {
		.tier = bed->tier, .what = "bench", .sizes = &bed->maps.sizes, .share = bed->object
	};

	bpf_object__close(bed->again);
	bed->again = NULL;
	return object_load(&request, &bed->again, &bed->program, reason);
}

void bed_close(struct bed *bed)
{
	bpf_object__close(bed->again);
	bed->again = NULL;
	for (enum bench_hook hook = HOOK_INGRESS; hook <= HOOK_EGRESS; hook++) {
		bpf_object__close(bed->stack[hook]);
		bed->stack[hook] = NULL;
	}
	if (bed->object) {
		map_set_close(&bed->maps);
		bpf_object__close(bed->object);
		bed->object = NULL;
	}
	plan_free(bed->plan);
	bed->plan = NULL;
	if (bed->config)
		config_free(bed->config);
	bed->config = NULL;
}

static void add_stack_counts(const struct bpf_object *object, struct bed_counts *counts)
{
	int fd = bpf_object__find_map_fd_by_name(object, LB_MAP_STACK_STATS);
	int cpus = libbpf_num_possible_cpus();
	struct lb_stack_count *values = calloc(cpus, sizeof(*values));

	for (uint32_t key = 0; values && !bpf_map_lookup_elem(fd, &key, values); key++)
		for (int cpu = 0; cpu < cpus; cpu++) {
			counts->stack += values[cpu].packets;
			counts->stack_redirects += values[cpu].redirects;
		}
	free(values);
}

int bed_counts(const struct bed *bed, struct bed_counts *counts)
{
	int error = sync_counts(bed->maps.reason_stats, bed->maps.percpu, LB_REASON_COUNT,
				counts->reasons);

	memset(counts->flows, 0, sizeof(counts->flows));
	counts->stack = counts->stack_redirects = 0;
	for (enum bench_hook hook = HOOK_INGRESS; hook <= HOOK_EGRESS; hook++)
		if (bed->stack[hook])
			add_stack_counts(bed->stack[hook], counts);
	if (error || bed->maps.flow_stats < 0) /* a card has none */
		return error;
	return sync_counts(bed->maps.flow_stats, bed->maps.percpu, LB_FLOW_COUNT_COUNT,
			   counts->flows);
}

int bed_set_budget(const struct bed *bed, uint32_t flows)
{
	struct lb_setting setting;

	for (uint32_t half = 0; half < 2; half++) {
		if (bpf_map_lookup_elem(bed->maps.setting, &half, &setting))
			return -errno;
		setting.flow_inserts = flows;
		setting.vip_inserts = flows;
		if (bpf_map_update_elem(bed->maps.setting, &half, &setting, BPF_EXIST))
			return -errno;
	}
	return 0;
}

static int forget_recent(int fd)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info), n;
	int error = bpf_obj_get_info_by_fd(fd, &info, &length) ? -errno : 0;
	uint32_t *keys = error ? NULL : calloc(info.max_entries, sizeof(*keys));
	void *zeros = error ? NULL : calloc(info.max_entries, info.value_size);

	if (!error && (!keys || !zeros))
		error = -ENOMEM;
	for (n = 0; !error && n < info.max_entries; n++)
		keys[n] = n;
	if (!error && bpf_map_update_batch(fd, keys, zeros, &n, NULL))
		error = -errno;
	free(zeros);
	free(keys);
	return error;
}

#define FORGET_AT_ONCE 4096

int bed_forget_flows(const struct bed *bed)
{
	struct lb_flow_key *keys = malloc(FORGET_AT_ONCE * sizeof(*keys));
	struct lb_flow *flows = malloc(FORGET_AT_ONCE * sizeof(*flows));
	uint32_t batch = 0, count;
	int error = keys && flows ? 0 : -ENOMEM;
	bool first = true;

	while (!error) {
		count = FORGET_AT_ONCE;
		if (bpf_map_lookup_and_delete_batch(bed->maps.conn_track, first ? NULL : &batch,
						    &batch, keys, flows, &count, NULL))
			error = -errno;
		first = false;
	}
	free(keys);
	free(flows);
	if (error != -ENOENT) /* which says that nothing is left */
		return error;
	return forget_recent(bed->maps.flow_recent);
}

int bed_begin_cache(const struct bed *bed)
{
	int n = libbpf_num_possible_cpus();
	struct lb_cid_cache_state *states = calloc(n, sizeof(*states));
	const uint32_t key = 0;
	int error = states ? 0 : -ENOMEM;

	if (!error && bpf_map_update_elem(bed->maps.cache_state, &key, states, BPF_ANY))
		error = -errno;
	free(states);
	return error;
}

uint64_t bed_cache_window(void)
{
	return (1000000000 / clock_ticks(1)) << LB_CACHE_WINDOW_SHIFT;
}
