/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is measured, in the order of the table. The first case is also the measure of the noise.
 */
#include "bench.h"

#include <stdlib.h>

struct list {
	struct bench_case *cases;
	uint32_t n, room;
	bool failed;
};

static void add(struct list *list, struct bench_case what)
{
	if (list->n == list->room) {
		uint32_t room = 2 * list->room + 64;
		struct bench_case *cases = realloc(list->cases, room * sizeof(*cases));

		if (!cases) {
			list->failed = true;
			return;
		}
		list->cases = cases;
		list->room = room;
	}
	list->cases[list->n++] = what;
}

static const struct {
	const char *name;
	enum frame_kind frames;
} algorithms[] = {
	{ "clear", FRAME_CLEAR },
	{ "single pass", FRAME_SINGLE },
	{ "three encrypts", FRAME_THREE },
	{ "four encrypts", FRAME_FOUR },
};

#define N_ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

/* 4,000 connections meet nearly every server, as 512,000 do: what is left between them is connections. */
static const uint32_t sizes[] = { 1, 4000, 64000, BENCH_CONNECTIONS };

#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void add_sizes(struct list *list, struct bench_case what)
{
	bool only_full = what.only_full;

	for (size_t i = 0; i < N_SIZES; i++) {
		what.connections = sizes[i];
		what.only_full = only_full || (i > 0 && i + 1 < N_SIZES);
		add(list, what);
	}
}

/* Every algorithm in every mode; in a hurry, every mode by the first one. */
static void add_mode(struct list *list, enum bed_kind bed, int version)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++) {
		struct bench_case what = {
			.name = algorithms[i].name,
			.frames = algorithms[i].frames,
			.bed = bed,
			.tier = TIER_DRIVER,
			.version = version,
			.connections = 1,
			.reason = LB_REASON_cid,
			.only_full = i > 0,
		};

		add(list, what);
		what.only_full = true;
		for (size_t size = 1; size < N_SIZES; size++) {
			what.connections = sizes[size];
			if (what.connections != 4000)
				add(list, what);
		}
	}
}

static void add_forwarded(struct list *list)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++)
		add_sizes(list, (struct bench_case){ .name = algorithms[i].name,
						     .frames = algorithms[i].frames,
						     .bed = BED_IPIP4,
						     .tier = TIER_DRIVER,
						     .version = 4,
						     .reason = LB_REASON_cid });
	add_mode(list, BED_IPIP4, 6);
	add_mode(list, BED_IPIP6, 6);
	add_mode(list, BED_L2DSR, 4);
	add_mode(list, BED_L2DSR, 6);
	add_mode(list, BED_GUE4, 4);
	add_mode(list, BED_GUE6, 6);
	add_mode(list, BED_NAT4, 4);
	add_mode(list, BED_NAT6, 6);
}

/* Encrypted connection IDs that were decoded a moment ago, and as many as no cache holds. */
static void add_cached(struct list *list)
{
	static const char *const names[] = {
		[FRAME_SINGLE] = "single pass, cached", [FRAME_THREE] = "three encr., cached"
	};

	for (enum frame_kind kind = FRAME_SINGLE; kind <= FRAME_THREE; kind++)
		add_sizes(list, (struct bench_case){ .name = names[kind],
						     .frames = kind,
						     .bed = BED_CACHED,
						     .tier = TIER_DRIVER,
						     .version = 4,
						     .reason = LB_REASON_cid });
}

static void add_unroutable(struct list *list)
{
	struct bench_case what = {
		.name = "hash fallback",
		.frames = FRAME_HASH,
		.bed = BED_IPIP4,
		.tier = TIER_DRIVER,
		.version = 4,
		.reason = LB_REASON_hash_unknown_config,
	};

	add_sizes(list, what);
	what.version = 6;
	what.connections = 1;
	add(list, what);
}

static void add_passed(struct list *list)
{
	struct bench_case what = {
		.name = "not for a VIP",
		.frames = FRAME_NOT_VIP,
		.bed = BED_IPIP4,
		.tier = TIER_DRIVER,
		.version = 4,
		.connections = 1,
		.reason = LB_REASON_not_vip,
	};

	add(list, what);
	what.name = "not UDP";
	what.frames = FRAME_NOT_UDP;
	what.reason = LB_REASON_not_udp;
	add(list, what);
}

static void add_tiers(struct list *list)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++) {
		struct bench_case what = {
			.name = algorithms[i].name,
			.frames = algorithms[i].frames,
			.bed = BED_IPIP4,
			.tier = TIER_GENERIC,
			.version = 4,
			.connections = 1,
			.reason = LB_REASON_cid,
			.only_full = i == 1 || i == 3,
		};

		add(list, what);
		what.only_full = true;
		what.connections = BENCH_CONNECTIONS;
		add(list, what);
		if (i > 0) /* an encrypted one is the host's */
			continue;
		what.tier = TIER_OFFLOAD;
		add(list, what);
		what.only_full = false;
		what.connections = 1;
		add(list, what);
	}
}

/* connections: that conn_track knows meanwhile. */
static void add_flood(struct list *list)
{
	struct bench_case what = {
		.frames = FRAME_INITIAL,
		.tier = TIER_DRIVER,
		.version = 4,
		.reason = LB_REASON_hash_unknown_config,
		.spoofed = true,
	};

	for (size_t i = 0; i < N_SIZES; i++) {
		what.connections = sizes[i];
		what.only_full = sizes[i] == BENCH_CONNECTIONS;
		what.name = "spoofed, untracked";
		what.bed = BED_IPIP4;
		what.flows = FLOWS_NONE;
		if (sizes[i] != 4000)
			add(list, what);
		what.name = "spoofed, no budget";
		what.bed = BED_NEW;
		what.flows = FLOWS_FLOOD;
		if (sizes[i] != 4000)
			add(list, what);
	}
	what.name = "spoofed, remembered";
	what.flows = FLOWS_NEW;
	what.connections = 1;
	what.only_full = false;
	add(list, what);
}

/* What conn_track costs, beside the same packets without it. Spoofed ones have a client each. */
static void add_flows(struct list *list)
{
	struct bench_case what = {
		.name = "tracked flow",
		.frames = FRAME_INITIAL,
		.bed = BED_FLOWS,
		.tier = TIER_DRIVER,
		.version = 4,
		.reason = LB_REASON_flow,
		.flows = FLOWS_KNOWN,
	};

	for (size_t i = 0; i < N_SIZES; i++) {
		what.connections = sizes[i];
		what.only_full = sizes[i] == BENCH_CONNECTIONS;
		if (sizes[i] != 4000)
			add(list, what);
	}
	what.only_full = false;
	/* One of these has two entries, and conn_track has room for a million. */
	what.name = "tracked, by DCID";
	what.frames = FRAME_HASH;
	what.spoofed = true;
	what.flows = FLOWS_MOVED;
	what.reason = LB_REASON_flow_cid;
	what.connections = 64000;
	add(list, what);
	what.connections = 1;
	add(list, what);
	add_flood(list);
}

/* The reason is not counted there: by TC's own counters the packets must have gone by. */
static void add_stack(struct list *list)
{
	struct bench_case what = {
		.name = "not for a VIP",
		.frames = FRAME_NOT_VIP,
		.bed = BED_NAT4,
		.tier = TIER_DRIVER,
		.hook = HOOK_INGRESS,
		.version = 4,
		.connections = 1,
		.reason = LB_REASON_COUNT,
	};

	add(list, what);
	what.hook = HOOK_EGRESS;
	add(list, what);
	what.name = "not UDP";
	what.frames = FRAME_NOT_UDP;
	what.hook = HOOK_INGRESS;
	add(list, what);
	what.name = "for a VIP, unread";
	what.frames = FRAME_CLEAR;
	add(list, what);
	what.name = "answer of nat";
	what.frames = FRAME_ANSWER;
	what.hook = HOOK_EGRESS;
	add(list, what);
	what.connections = 64000;
	what.only_full = true;
	add(list, what);
}

const char *case_place(const struct bench_case *what)
{
	static const char *const stack[] = { [HOOK_INGRESS] = "tc in", [HOOK_EGRESS] = "tc out" };

	return what->hook == HOOK_XDP ? tiers[what->tier].name : stack[what->hook];
}

struct bench_case *cases_make(uint32_t *n)
{
	struct list list = {};

	add_forwarded(&list);
	add_cached(&list);
	add_unroutable(&list);
	add_flows(&list);
	add_passed(&list);
	add_tiers(&list);
	add_stack(&list);
	if (list.failed) {
		free(list.cases);
		return NULL;
	}
	*n = list.n;
	return list.cases;
}
