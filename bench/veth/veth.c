/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Through veth: one core sends live frames, forwards them and takes them back, with each program in the
 * balancer's place in turn and with the kernel's own ways of sending a packet on. Two cores do the same on a pair each.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "veth/veth.h"

#define FLOWS	  1000
#define MAX_CORES 2

/* Positions in the list, for who is compared with whom. */
enum { DROP, BARE, CLEAR, SINGLE, THREE, BARE_GENERIC, AGAIN = VETH_CASES - 1 };

static const struct veth_case cases[VETH_CASES] = {
	[DROP] = { "XDP_DROP", "driver", 1, BARE, 0, false },
	[BARE] = { "bare XDP_TX", "driver", 1, BARE, 0, false },
	[CLEAR] = { "clear", "driver", 1, BARE, 0.97, false },
	[SINGLE] = { "single pass", "driver", 1, BARE, 0.88, false },
	[THREE] = { "three encrypts", "driver", 1, BARE, 0.72, false },
	[BARE_GENERIC] = { "bare XDP_TX", "generic", 1, BARE_GENERIC, 0, false },
	{ "clear", "generic", 1, BARE_GENERIC, 0.95, false },
	{ "single pass", "generic", 1, BARE_GENERIC, 0.88, false },
	{ "three encrypts", "generic", 1, BARE_GENERIC, 0.75, false },
	{ "ip_forward", "kernel", 1, CLEAR, 3, true },
	{ "nft DNAT", "kernel", 1, CLEAR, 3, true },
	{ "bare XDP_TX", "driver", 2, BARE, 0, false },
	{ "clear", "driver", 2, CLEAR, 1.5, false },
	[AGAIN] = { "bare XDP_TX", "driver", 1, BARE, 0, false },
};

static const char dnat[] = "table ip bench {\n"
			   "  chain in {\n"
			   "    type nat hook prerouting priority dstnat;\n"
			   "    ip daddr 192.0.2.80 udp dport 443 dnat to 10.1.0.1\n"
			   "  }\n"
			   "}\n";

struct street {
	struct net_pair pairs[MAX_CORES];
	struct spin spins[MAX_CORES];
	int cpus[MAX_CORES], n_cpus;
	struct ends ends;
	struct harness *harness;
	struct bed beds[TIER_COUNT];
};

/* What is in the balancer's place for one case. */
struct place {
	int program; /* -1: none */
	uint32_t flags;
	const struct bed *bed; /* whose program it is; or NULL */
	const char *rules;
	struct harness_span span;
};

static int street_reason(struct reason *reason, int error, const char *stage, const char *what)
{
	return reason_set(reason, REASON_UNKNOWN, stage, -error, "veth: %s", what);
}

static enum frame_kind frames_of(const struct veth_case *what)
{
	if (!strcmp(what->name, "single pass"))
		return FRAME_SINGLE;
	return strcmp(what->name, "three encrypts") ? FRAME_CLEAR : FRAME_THREE;
}

static struct place place_of(const struct street *street, const struct veth_case *what)
{
	bool generic = !strcmp(what->tier, "generic"), kernel = !strcmp(what->tier, "kernel");
	const struct bed *bed = &street->beds[generic ? TIER_GENERIC : TIER_DRIVER];
	struct place place = {
		.program = bed->program,
		.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
		.bed = bed,
		.span = { .base = frames_of(what) * FLOWS, .count = FLOWS },
	};

	if (what == &cases[DROP])
		place.program = street->ends.sink;
	if (!strcmp(what->name, "bare XDP_TX"))
		place.program = street->ends.swap;
	if (kernel)
		place.program = -1;
	if (place.program != bed->program)
		place.bed = NULL;
	if (!strcmp(what->name, "nft DNAT"))
		place.rules = dnat;
	return place;
}

/* ------------------------------------------------------------------ frames on their way */

struct walker {
	const struct street *street;
	uint32_t number, frames;
	pthread_barrier_t *start;
	uint64_t time;
	int error;
};

/* Until nothing comes any more: what the daemon has yet to do is part of the price. */
static void drain(const struct ends *ends)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	uint64_t before, now = ends_met(ends);

	do {
		before = now;
		nanosleep(&pause, NULL);
		now = ends_met(ends);
	} while (now != before);
}

static void *walk(void *context)
{
	struct walker *walker = context;
	const struct street *street = walker->street;
	struct spin spin;
	uint64_t from;

	walker->error = spin_open(street->cpus[walker->number], &spin);
	pthread_barrier_wait(walker->start);
	if (walker->error)
		return NULL;
	from = spin_time(&spin);
	walker->error =
		harness_send(street->harness, street->pairs[walker->number].near, walker->frames);
	drain(&street->ends);
	walker->time = spin_time(&spin) - from;
	spin_close(&spin);
	return NULL;
}

/* As many millions a second as the cores would do if they had nothing else to do. */
static int walk_all(const struct street *street, uint32_t cores, uint32_t frames, double *mpps,
		    uint64_t *met)
{
	struct walker walkers[MAX_CORES] = {};
	pthread_t other;
	uint64_t before = ends_met(&street->ends);
	pthread_barrier_t start;
	int error = 0;

	for (uint32_t i = 0; i < MAX_CORES; i++)
		walkers[i] = (struct walker){ street, i, frames, &start, 0, 0 };
	/* At most one more, so where it does not come nobody waits. */
	pthread_barrier_init(&start, NULL, cores);
	if (cores > 1)
		error = -pthread_create(&other, NULL, walk, &walkers[1]);
	if (error) {
		pthread_barrier_destroy(&start);
		return error;
	}
	walk(&walkers[0]);
	if (cores > 1)
		pthread_join(other, NULL);
	pthread_barrier_destroy(&start);
	*met = ends_met(&street->ends) - before;
	*mpps = 0;
	for (uint32_t i = 0; i < cores; i++) {
		if (walkers[i].error)
			return walkers[i].error;
		*mpps += 1e3 * (double)*met / cores / (double)walkers[i].time;
	}
	return 0;
}

/* ------------------------------------------------------------------ a case */

static int attach(const struct street *street, const struct place *place, uint32_t cores)
{
	int error = 0;

	for (uint32_t i = 0; i < cores && place->program >= 0 && !error; i++)
		error = bpf_xdp_attach((int)street->pairs[i].far, place->program, place->flags,
				       NULL);
	if (!error && place->rules)
		error = net_command("nft -f - 2>&1", place->rules);
	return error;
}

static void detach(const struct street *street, const struct place *place, uint32_t cores)
{
	for (uint32_t i = 0; i < cores && place->program >= 0; i++)
		bpf_xdp_detach((int)street->pairs[i].far, place->flags, NULL);
	if (place->rules)
		net_command("nft -f -", "delete table ip bench\n");
}

/* All that were sent came back, and a balancer's program says that it sent them by their connection IDs. */
static int check_met(const struct place *place, const struct bed_counts *before, uint64_t sent,
		     uint64_t met, const struct veth_case *what, struct reason *reason)
{
	struct bed_counts after;
	uint64_t routed;

	if (met < sent / 20 * 19)
		return reason_set(reason, REASON_UNKNOWN, "check", EPROTO,
				  "veth: %s, %s: %llu of %llu frames came back", what->name,
				  what->tier, (unsigned long long)met, (unsigned long long)sent);
	if (!place->bed)
		return 0;
	if (bed_counts(place->bed, &after))
		return street_reason(reason, -errno, "counters", what->name);
	routed = after.reasons[LB_REASON_cid].packets - before->reasons[LB_REASON_cid].packets;
	if (routed == sent)
		return 0;
	return reason_set(reason, REASON_UNKNOWN, "check", EPROTO,
			  "veth: %s, %s: %llu of %llu frames by connection ID", what->name,
			  what->tier, (unsigned long long)routed, (unsigned long long)sent);
}

static int play(struct veth *veth, struct street *street, struct veth_measured *measured,
		uint32_t round, struct reason *reason)
{
	const struct veth_case *what = measured->what;
	struct place place = place_of(street, what);
	struct bed_counts before = {};
	uint64_t met, sent = (uint64_t)veth->frames * what->cores;
	int error = attach(street, &place, what->cores);

	if (error && place.rules && !round) {
		measured->missing = true; /* no nft, or a kernel without it */
		return 0;
	}
	if (!error)
		error = harness_ready(street->harness, &place.span);
	if (!error)
		error = walk_all(street, what->cores, veth->frames / 10 + 1, &measured->mpps[round],
				 &met);
	if (!error && place.bed)
		error = bed_counts(place.bed, &before);
	if (!error)
		error = walk_all(street, what->cores, veth->frames, &measured->mpps[round], &met);
	if (error)
		street_reason(reason, error, "live-frames", what->name);
	else
		error = check_met(&place, &before, sent, met, what, reason);
	detach(street, &place, what->cores);
	return error;
}

/* ------------------------------------------------------------------ all of them */

static void find_cpus(struct street *street)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && street->n_cpus < MAX_CORES; i++)
		if (CPU_ISSET(i, &set))
			street->cpus[street->n_cpus++] = i;
}

static int street_open(struct street *street, struct reason *reason)
{
	static const enum tier wanted[] = { TIER_DRIVER, TIER_GENERIC };
	int error = ends_open(&street->ends);

	if (error)
		return street_reason(reason, error, "object", "ends");
	find_cpus(street);
	for (uint32_t i = 0; i < MAX_CORES; i++) {
		error = net_make_pair(i, &street->pairs[i], reason);
		if (error)
			return error;
		error = bpf_xdp_attach((int)street->pairs[i].near, street->ends.sink,
				       XDP_FLAGS_DRV_MODE, NULL);
		if (error)
			return street_reason(reason, error, "attach", "the sink");
	}
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		error = bed_open(wanted[i], BED_IPIP4, &street->beds[wanted[i]], reason);
		if (error)
			return error;
	}
	error = harness_open((FRAME_THREE + 1) * FLOWS, &street->harness);
	if (error)
		return street_reason(reason, error, "object", "harness");
	for (uint32_t kind = 0; kind <= FRAME_THREE; kind++)
		frames_fill(harness_frames(street->harness) + kind * FLOWS, FLOWS,
			    street->beds[TIER_DRIVER].config, kind, 4);
	return 0;
}

static void street_close(struct street *street)
{
	for (int tier = 0; tier < TIER_COUNT; tier++)
		bed_close(&street->beds[tier]);
	harness_close(street->harness);
	ends_close(&street->ends);
}

static int play_round(struct veth *veth, struct street *street, uint32_t round,
		      struct reason *reason)
{
	int error = bed_reload(&street->beds[TIER_DRIVER], reason);

	if (!error)
		error = bed_reload(&street->beds[TIER_GENERIC], reason);
	for (uint32_t i = 0; i < VETH_CASES && !error; i++) {
		struct veth_measured *measured = &veth->list[(i + round) % VETH_CASES];

		measured->missing |= measured->what->cores > (uint32_t)street->n_cpus;
		if (!measured->missing)
			error = play(veth, street, measured, round, reason);
	}
	for (uint32_t i = 0; i < VETH_CASES && !error; i++) {
		struct veth_measured *measured = &veth->list[i];
		double base = veth->list[measured->what->base].mpps[round];

		if (measured->missing)
			continue;
		measured->ratio[round] = measured->what->inverse ? base / measured->mpps[round] :
								   measured->mpps[round] / base;
	}
	return error;
}

int veth_measure(struct veth *veth, struct reason *reason)
{
	struct street street = {};
	int error = 0;

	for (uint32_t i = 0; i < VETH_CASES; i++) {
		veth->list[i].what = &cases[i];
		veth->list[i].mpps = calloc(veth->rounds, sizeof(double));
		veth->list[i].ratio = calloc(veth->rounds, sizeof(double));
		if (!veth->list[i].mpps || !veth->list[i].ratio)
			error = -ENOMEM;
	}
	if (error)
		return street_reason(reason, error, "memory", "figures");
	error = street_open(&street, reason);
	for (uint32_t round = 0; round < veth->rounds && !error; round++)
		error = play_round(veth, &street, round, reason);
	street_close(&street);
	for (uint32_t i = 0; i < VETH_CASES && !error; i++) {
		struct veth_measured *measured = &veth->list[i];

		measured->mpps_figure = figure_of(measured->mpps, veth->rounds);
		measured->ratio_figure = figure_of(measured->ratio, veth->rounds);
	}
	return error;
}

void veth_free(struct veth *veth)
{
	for (uint32_t i = 0; i < VETH_CASES; i++) {
		free(veth->list[i].mpps);
		free(veth->list[i].ratio);
	}
}
