/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What takes the balancer's place, in the order of the table, and whom each is compared with.
 */
#include <stdlib.h>
#include <string.h>

#include "veth/veth.h"

#define CASES_MAX  40
#define FLOWS	   1000
#define MANY_FLOWS 64000

struct list {
	struct veth_case *cases;
	uint32_t n;
	bool quick;
};

/* The first of that name and tier: they come before those that are compared with them. */
static uint32_t find(const struct list *list, const char *name, const char *tier)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (!strcmp(list->cases[i].name, name) && !strcmp(list->cases[i].tier, tier))
			return i;
	return list->n; /* with itself */
}

static void add(struct list *list, struct veth_case what, const char *base)
{
	bool generic = !strcmp(what.tier, "generic");

	if ((list->quick && what.only_full) || list->n == CASES_MAX)
		return;
	if (!what.connections)
		what.connections = FLOWS;
	if (!what.cores)
		what.cores = 1;
	what.floor = find(list, "bare XDP_TX", generic ? "generic" : "driver");
	what.base = find(list, base, generic ? "generic" : "driver");
	list->cases[list->n++] = what;
}

/* One of the bench's own programs. */
static struct veth_case end(const char *name, const char *tier, enum end_program program)
{
	return (struct veth_case){
		.name = name, .tier = tier, .place = PLACE_END, .program = program
	};
}

static struct veth_case balancer(const char *name, const char *tier, enum bed_kind bed,
				 enum frame_kind frames)
{
	return (struct veth_case){
		.name = name,
		.tier = tier,
		.place = PLACE_BALANCER,
		.bed = bed,
		.frames = frames,
		.reason = frames <= FRAME_FOUR ? LB_REASON_cid : LB_REASON_hash_unknown_config,
	};
}

static void add_floors(struct list *list)
{
	add(list, end("bare XDP_TX", "driver", END_SWAP), "bare XDP_TX");
	add(list, end("XDP_DROP", "driver", END_SINK), "bare XDP_TX");
	add(list, end("bare, and counts", "driver", END_COUNT), "bare XDP_TX");
	add(list, end("bare, and wraps", "driver", END_WRAP), "bare XDP_TX");
}

/* A file that says nothing has the cache, so what is promised is promised of that. */
static void add_encrypted(struct list *list, struct veth_case what, bool only_full, double aim)
{
	what.at_least = aim;
	what.only_full = only_full;
	add(list, what, "bare XDP_TX");
}

/* The modes that change an address beside the one that puts one in front. */
static void add_routed(struct list *list, const char *tier, bool only_full, const double aims[3])
{
	static const enum bed_kind modes[] = { BED_IPIP4, BED_L2DSR, BED_NAT4 };
	struct veth_case what;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		what = balancer("clear", tier, modes[i], FRAME_CLEAR);
		what.at_least = i ? 0 : aims[0];
		what.only_full = i && only_full;
		add(list, what, "bare XDP_TX");
	}
	add_encrypted(list, balancer("single pass, cached", tier, BED_CACHED, FRAME_SINGLE),
		      only_full, aims[1]);
	add_encrypted(list, balancer("three encr., cached", tier, BED_CACHED, FRAME_THREE),
		      only_full, aims[2]);
	add_encrypted(list, balancer("single pass", tier, BED_IPIP4, FRAME_SINGLE), only_full, 0);
	add_encrypted(list, balancer("three encrypts", tier, BED_IPIP4, FRAME_THREE), only_full, 0);
}

/* What no server's connection ID is in, and more clients than a cache has room for. */
static void add_others(struct list *list)
{
	struct veth_case what = balancer("clear", "driver", BED_IPIP4, FRAME_CLEAR);

	what.only_full = true;
	what.connections = MANY_FLOWS;
	add(list, what, "bare XDP_TX");
	what = balancer("hash fallback", "driver", BED_IPIP4, FRAME_HASH);
	what.only_full = true;
	add(list, what, "bare XDP_TX");
	what = balancer("spoofed, untracked", "driver", BED_IPIP4, FRAME_INITIAL);
	what.only_full = true;
	what.spoofed = true;
	add(list, what, "bare XDP_TX");
	what = balancer("spoofed, no budget", "driver", BED_NEW, FRAME_INITIAL);
	what.spoofed = what.flood = true;
	add(list, what, "bare XDP_TX");
	what.connections = MANY_FLOWS;
	what.only_full = true;
	add(list, what, "bare XDP_TX");
}

/* What else sends a packet on. */
static void add_strangers(struct list *list)
{
	struct veth_case what = { .inverse = true, .frames = FRAME_CLEAR };

	what.name = "ip_forward";
	what.tier = "kernel";
	what.place = PLACE_STACK;
	what.at_least = 3;
	add(list, what, "clear");
	what.name = "nft DNAT";
	what.place = PLACE_DNAT;
	add(list, what, "clear");
	what.at_least = 0;
	what.name = "clear";
	what.tier = "userspace";
	what.place = PLACE_SERVICE;
	what.bed = BED_IPIP4;
	add(list, what, "clear");
	what.name = "nginx UDP proxy";
	what.tier = "process";
	what.place = PLACE_NGINX;
	add(list, what, "clear");
}

static void add_two_cores(struct list *list)
{
	static const char *const tiers[] = { "driver", "generic" };
	struct veth_case what;

	for (size_t i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
		what = end("bare XDP_TX", tiers[i], END_SWAP);
		what.cores = 2;
		what.only_full = i > 0;
		add(list, what, "bare XDP_TX");
		what = balancer("clear", tiers[i], BED_IPIP4, FRAME_CLEAR);
		what.cores = 2;
		what.only_full = i > 0;
		what.at_least = i ? 0 : 1.5;
		add(list, what, "clear");
		what = balancer("single pass", tiers[i], BED_IPIP4, FRAME_SINGLE);
		what.cores = 2;
		what.only_full = true;
		add(list, what, "single pass");
	}
}

struct veth_case *veth_cases_make(bool quick, uint32_t *n)
{
	static const double driver_aims[] = { 0.97, 0.88, 0.72 };
	static const double generic_aims[] = { 0.95, 0.88, 0.75 };
	struct list list = { .cases = calloc(CASES_MAX, sizeof(*list.cases)), .quick = quick };

	if (!list.cases)
		return NULL;
	add_floors(&list);
	add_routed(&list, "driver", false, driver_aims);
	add_others(&list);
	add(&list, end("bare XDP_TX", "generic", END_SWAP), "bare XDP_TX");
	/* Here a header in front costs the receiving veth a copy: it wants the headroom back. */
	add(&list, end("bare, and wraps", "generic", END_WRAP), "bare XDP_TX");
	add_routed(&list, "generic", true, generic_aims);
	add_strangers(&list);
	add_two_cores(&list);
	add(&list, end("bare XDP_TX", "driver", END_SWAP), "bare XDP_TX");
	*n = list.n;
	return list.cases;
}

const char *veth_mode(const struct veth_case *what)
{
	return what->place == PLACE_BALANCER || what->place == PLACE_SERVICE ?
		       bed_modes[what->bed] :
		       "";
}

bool veth_is_process(const struct veth_case *what)
{
	return what->place == PLACE_SERVICE || what->place == PLACE_NGINX;
}
