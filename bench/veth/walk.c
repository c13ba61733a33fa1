/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames on their way: sent from one end of a pair, and counted where they come back to.
 */
#include <pthread.h>
#include <time.h>

#include "veth/street.h"

struct walker {
	const struct street *street;
	uint32_t number, frames;
	pthread_barrier_t *start;
	uint64_t met, time, clock;
	int error;
};

/*
 * Until all are back: what the daemon has yet to do is part of the price. Where others run, it may have to wait
 * for its turn. *last: when the last one was seen.
 */
static uint64_t drain(const struct ends *ends, int cpu, uint64_t wanted, uint64_t *last)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	uint64_t before, now = ends_met(ends, cpu);

	*last = clock_ns(CLOCK_MONOTONIC);
	while (now < wanted && clock_ns(CLOCK_MONOTONIC) - *last < LOST_AFTER) {
		nanosleep(&pause, NULL);
		before = now;
		now = ends_met(ends, cpu);
		if (now != before)
			*last = clock_ns(CLOCK_MONOTONIC);
	}
	return now;
}

static void *walk_one(void *context)
{
	struct walker *walker = context;
	const struct street *street = walker->street;
	int cpu = street->cpus[walker->number];
	struct spin spin;
	uint64_t time, clock, last, met;

	walker->error = spin_stay(cpu);
	spin_open(cpu, CLOCK_THREAD_CPUTIME_ID, &spin);
	pthread_barrier_wait(walker->start);
	met = ends_met(&street->ends, cpu);
	clock = clock_ns(CLOCK_MONOTONIC);
	time = spin_time(&spin);
	if (!walker->error)
		walker->error = harness_send(street->harness, street->pairs[walker->number].near,
					     walker->frames);
	walker->met = drain(&street->ends, cpu, met + walker->frames, &last) - met;
	walker->time = spin_time(&spin) - time;
	walker->clock = last - clock;
	spin_close(&spin);
	return NULL;
}

int walk(const struct street *street, uint32_t cores, uint32_t frames, struct walk *found)
{
	struct walker walkers[MAX_CORES] = {};
	pthread_t other;
	uint64_t before = ends_met(&street->ends, -1);
	pthread_barrier_t start;
	int error = 0;

	for (uint32_t i = 0; i < MAX_CORES; i++)
		walkers[i] = (struct walker){
			.street = street, .number = i, .frames = frames, .start = &start
		};
	/* At most one more, so where it does not come nobody waits. */
	pthread_barrier_init(&start, NULL, cores);
	if (cores > 1)
		error = -pthread_create(&other, NULL, walk_one, &walkers[1]);
	if (!error)
		walk_one(&walkers[0]);
	if (!error && cores > 1)
		pthread_join(other, NULL);
	pthread_barrier_destroy(&start);
	*found = (struct walk){ .sent = (uint64_t)frames * cores,
				.met = ends_met(&street->ends, -1) - before };
	found->elsewhere = found->met;
	for (uint32_t i = 0; i < cores && !error; i++) {
		error = walkers[i].error;
		found->elsewhere -= walkers[i].met;
		found->time += walkers[i].time;
		if (found->clock < walkers[i].clock)
			found->clock = walkers[i].clock;
	}
	return error;
}
