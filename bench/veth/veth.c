/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rounds: one core sends live frames, forwards them and takes them back, with each case in the balancer's
 * place in turn, and the program loaded anew in each. Two cores do the same on a pair each.
 */
#include "veth/veth.h"

#include <errno.h>
#include <stdlib.h>

#include "veth/street.h"

#define PROCESS_SHARE 10 /* a process has a tenth of the frames */

/* Frames that came back, as they were to come. */
static int check_walk(const struct veth_case *what, const struct walk *found, struct reason *reason)
{
	/* What a process could not take is told in the table. */
	uint64_t least = veth_is_process(what) ? found->sent / 2 : found->sent / 20 * 19;

	if (found->met < least)
		return reason_set(reason, REASON_UNKNOWN, "check", EPROTO,
				  "veth: %s, %s: %llu of %llu frames came back", what->name,
				  what->tier, (unsigned long long)found->met,
				  (unsigned long long)found->sent);
	if (found->elsewhere <= found->sent / 20)
		return 0;
	return reason_set(reason, REASON_UNKNOWN, "check", EPROTO,
			  "veth: %s, %s: %llu of %llu frames on a CPU that is not counted",
			  what->name, what->tier, (unsigned long long)found->elsewhere,
			  (unsigned long long)found->sent);
}

/* A balancer's program says that it sent them in the way that the case is named for. */
static int check_way(const struct place *place, const struct bed_counts *before, uint64_t sent,
		     struct reason *reason)
{
	const struct veth_case *what = place->what;
	struct bed_counts after;
	uint64_t way, flow;

	if (bed_counts(place->bed, &after))
		return street_reason(reason, -errno, "counters", what->name);
	way = after.reasons[what->reason].packets - before->reasons[what->reason].packets;
	flow = after.flows[LB_FLOW_COUNT_over_budget].packets -
	       before->flows[LB_FLOW_COUNT_over_budget].packets;
	if (way == sent && flow == (what->flood ? sent : 0))
		return 0;
	return reason_set(reason, REASON_UNKNOWN, "check", EPROTO,
			  "veth: %s, %s: %llu of %llu frames as reason %d, %llu above the budget",
			  what->name, what->tier, (unsigned long long)way, (unsigned long long)sent,
			  what->reason, (unsigned long long)flow);
}

static int walk_once(const struct street *street, const struct place *place, uint32_t frames,
		     struct walk *found)
{
	return place->process ? feed_process(street, place, frames, found) :
				walk(street, place->what->cores, frames, found);
}

/*
 * Before the figures: a lap at least, so that no frame and no entry is touched for the first time among them. A
 * process has two, for what it has to learn of each flow.
 */
static uint32_t frames_before(const struct veth *veth, const struct place *place)
{
	uint32_t lap = place->what->connections, tenth = veth->frames / 10 + 1;

	if (place->process)
		return 2 * lap;
	return lap > tenth ? lap : tenth;
}

/* Once to warm up, once for the figures. */
static int walk_twice(const struct veth *veth, const struct street *street,
		      const struct place *place, struct walk *found, struct reason *reason)
{
	const struct veth_case *what = place->what;
	uint32_t frames = place->process ? veth->frames / PROCESS_SHARE + 1 : veth->frames;
	struct bed_counts before = {};
	int error = walk_once(street, place, frames_before(veth, place), found);

	if (!error && place->bed)
		error = bed_counts(place->bed, &before);
	if (!error)
		error = walk_once(street, place, frames, found);
	if (error)
		return street_reason(reason, error, "live-frames", what->name);
	error = check_walk(what, found, reason);
	return error || !place->bed ? error : check_way(place, &before, found->sent, reason);
}

static int play(const struct veth *veth, const struct street *street,
		struct veth_measured *measured, uint32_t round, struct reason *reason)
{
	const struct veth_case *what = measured->what;
	struct walk found;
	struct place place;
	int error = place_take(street, what, &place), left;

	if (error == -ENOENT && !round) {
		measured->missing = true;
		return 0;
	}
	if (error)
		street_reason(reason, error, "place", what->name);
	else
		error = walk_twice(veth, street, &place, &found, reason);
	place.met = error ? 0 : found.met;
	left = place_leave(street, &place);
	if (!error && left)
		error = street_reason(reason, left, "check",
				      "loader run: not all frames by connection ID");
	if (error)
		return error;
	measured->values[VETH_NS][round] = (double)found.time / (double)found.met;
	measured->values[VETH_MPPS][round] = 1e3 * what->cores / measured->values[VETH_NS][round];
	measured->values[VETH_CLOCK][round] = 1e3 * (double)found.met / (double)found.clock;
	measured->values[VETH_LOST][round] = 1 - (double)found.met / (double)found.sent;
	return 0;
}

/* What is told beside others of the same round. */
static void compare(struct veth *veth, struct veth_measured *measured, uint32_t round)
{
	const struct veth_measured *base = &veth->list[measured->what->base];
	const struct veth_measured *floor = &veth->list[measured->what->floor];
	double ratio = measured->values[VETH_MPPS][round] / base->values[VETH_MPPS][round];

	measured->values[VETH_RATIO][round] = measured->what->inverse ? 1 / ratio : ratio;
	measured->values[VETH_ABOVE][round] =
		measured->values[VETH_NS][round] - floor->values[VETH_NS][round];
}

static int play_round(struct veth *veth, struct street *street, uint32_t round,
		      struct reason *reason)
{
	int error = street_reload(street, reason);

	for (uint32_t i = 0; i < veth->n && !error; i++) {
		struct veth_measured *measured = &veth->list[(i + round) % veth->n];

		measured->missing |= measured->what->cores > (uint32_t)street->n_cpus;
		if (!measured->missing)
			error = play(veth, street, measured, round, reason);
	}
	for (uint32_t i = 0; i < veth->n && !error; i++)
		if (!veth->list[i].missing)
			compare(veth, &veth->list[i], round);
	return error;
}

static int make_list(struct veth *veth)
{
	veth->cases = veth_cases_make(veth->quick, &veth->n);
	if (veth->cases)
		veth->list = calloc(veth->n, sizeof(*veth->list));
	if (!veth->list) {
		veth->n = 0;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < veth->n; i++) {
		veth->list[i].what = &veth->cases[i];
		for (int value = 0; value < VETH_VALUES; value++) {
			veth->list[i].values[value] = calloc(veth->rounds, sizeof(double));
			if (!veth->list[i].values[value])
				return -ENOMEM;
		}
	}
	return 0;
}

int veth_measure(struct veth *veth, struct reason *reason)
{
	struct street street = {};
	int error = make_list(veth);

	if (error)
		return street_reason(reason, error, "memory", "figures");
	error = street_open(&street, veth, reason);
	for (uint32_t round = 0; round < veth->rounds && !error; round++)
		error = play_round(veth, &street, round, reason);
	street_close(&street);
	for (uint32_t i = 0; i < veth->n && !error; i++)
		for (int value = 0; value < VETH_VALUES; value++)
			veth->list[i].figures[value] =
				figure_of(veth->list[i].values[value], veth->rounds);
	return error;
}

void veth_free(struct veth *veth)
{
	for (uint32_t i = 0; i < veth->n; i++)
		for (int value = 0; value < VETH_VALUES; value++)
			free(veth->list[i].values[value]);
	free(veth->list);
	free(veth->cases);
}
