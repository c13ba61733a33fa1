/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The two veth pairs, the programs that take the balancer's place, and the frames that come by.
 */
#include "veth/street.h"

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <sched.h>
#include <string.h>

int street_reason(struct reason *reason, int error, const char *stage, const char *what)
{
	return reason_set(reason, REASON_UNKNOWN, stage, -error, "veth: %s", what);
}

static void find_cpus(struct street *street)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && street->n_cpus < MAX_CORES; i++)
		if (CPU_ISSET(i, &set))
			street->cpus[street->n_cpus++] = i;
}

static int open_pairs(struct street *street, struct reason *reason)
{
	int error = 0;

	for (uint32_t i = 0; i < MAX_CORES && !error; i++) {
		error = net_make_pair(i, &street->pairs[i], reason);
		if (error)
			return error;
		error = bpf_xdp_attach((int)street->pairs[i].near, street->ends.programs[END_SINK],
				       XDP_FLAGS_DRV_MODE, NULL);
	}
	return error ? street_reason(reason, error, "attach", "the sink") : 0;
}

static int open_beds(struct street *street, const struct veth *veth, struct reason *reason)
{
	int error = 0;

	for (uint32_t i = 0; i < veth->n && !error; i++) {
		const struct veth_case *what = veth->list[i].what;
		enum tier tier = strcmp(what->tier, "generic") ? TIER_DRIVER : TIER_GENERIC;
		struct bed *bed = &street->beds[tier][what->bed];

		if (what->place == PLACE_BALANCER && !bed->object)
			error = bed_open(tier, what->bed, bed, reason);
	}
	return error;
}

/* Cases with the same frames share them: the one with fewer connections takes the first. */
static int make_frames(struct street *street, const struct veth *veth)
{
	const struct config *config = street->beds[TIER_DRIVER][BED_IPIP4].config;
	uint32_t sizes[FRAME_KINDS] = {}, total = 0;
	int error;

	for (uint32_t i = 0; i < veth->n; i++) {
		const struct veth_case *what = veth->list[i].what;

		if (sizes[what->frames] < what->connections)
			sizes[what->frames] = what->connections;
	}
	for (int kind = 0; kind < FRAME_KINDS; kind++) {
		street->bases[kind] = total;
		total += sizes[kind];
	}
	error = harness_open(total, &street->harness);
	for (int kind = 0; kind < FRAME_KINDS && !error; kind++)
		frames_fill(harness_frames(street->harness) + street->bases[kind], sizes[kind],
			    config, (enum frame_kind)kind, 4);
	return error;
}

int street_open(struct street *street, const struct veth *veth, struct reason *reason)
{
	int error = workplace_open(&street->at, reason);

	if (error)
		return error;
	error = ends_open(&street->ends);
	if (error)
		return street_reason(reason, error, "object", "ends");
	find_cpus(street);
	error = open_pairs(street, reason);
	if (!error)
		error = open_beds(street, veth, reason);
	if (error)
		return error;
	error = make_frames(street, veth);
	return error ? street_reason(reason, error, "object", "harness") : 0;
}

int street_reload(struct street *street, struct reason *reason)
{
	int error = 0;

	for (uint32_t i = 0; i < TIER_COUNT * BED_KINDS && !error; i++) {
		struct bed *bed = &street->beds[i / BED_KINDS][i % BED_KINDS];

		if (bed->object)
			error = bed_reload(bed, reason);
	}
	return error;
}

void street_close(struct street *street)
{
	for (uint32_t i = 0; i < TIER_COUNT * BED_KINDS; i++)
		bed_close(&street->beds[i / BED_KINDS][i % BED_KINDS]);
	harness_close(street->harness);
	ends_close(&street->ends);
	workplace_close(&street->at);
}
