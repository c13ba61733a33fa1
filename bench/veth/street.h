/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of bench/veth know of each other: the street that frames walk, and who is in its middle.
 */
#ifndef BENCH_STREET_H
#define BENCH_STREET_H

#include <sys/types.h>
#include <time.h>

#include "veth/veth.h"
#include "workplace.h"

#define MAX_CORES  2
#define LOST_AFTER 500000000u /* ns without any frame coming back */

/* spin.c: CPU time of what runs where a thread does, softirqs and their daemon included. */
struct spin {
	clockid_t clock; /* of the thread, or of a process */
	int daemon; /* its schedstat; -1: not found */
};

int spin_stay(int cpu); /* the calling thread, there */
void spin_open(int cpu, clockid_t clock, struct spin *spin);
void spin_close(struct spin *spin);
uint64_t spin_time(const struct spin *spin); /* ns */
uint64_t clock_ns(clockid_t clock);

/* street.c: two veth pairs, programs, frames. */
struct street {
	struct net_pair pairs[MAX_CORES];
	int cpus[MAX_CORES], n_cpus;
	struct ends ends;
	struct harness *harness;
	uint32_t bases[FRAME_KINDS]; /* in the harness's frames */
	struct bed beds[TIER_COUNT][BED_KINDS]; /* those that a case is about */
	struct workplace at;
};

/* Whatever veth->list needs. */
int street_open(struct street *street, const struct veth *veth, struct reason *reason);
/* All programs anew. */
int street_reload(struct street *street, struct reason *reason);
void street_close(struct street *street);
int street_reason(struct reason *reason, int error, const char *stage, const char *what);

/* walk.c: frames on their way. */
struct walk {
	uint64_t sent, met;
	uint64_t elsewhere; /* of met, those on a CPU whose time is not counted */
	uint64_t time; /* ns, of all cores */
	uint64_t clock; /* ns, until the last one came back */
};

int walk(const struct street *street, uint32_t cores, uint32_t frames, struct walk *found);

/* place.c: what is in the balancer's place for one case. */
struct place {
	const struct veth_case *what;
	int program; /* -1: none */
	uint32_t flags; /* to attach it */
	const struct bed *bed; /* whose program it is; or NULL */
	struct harness_span span;
	pid_t process; /* 0: none */
	uint64_t met; /* frames that have come back, as far as it has to answer for them */
};

/* Returns -ENOENT if something it needs is not on this machine. */
int place_take(const struct street *street, const struct veth_case *what, struct place *place);
int place_leave(const struct street *street, struct place *place);

/* process.c: -ENOENT, or a frame has already gone through. */
int process_start(const struct street *street, struct place *place);
/* -EPROTO if the service does not say that it sent all frames by their connection IDs, place->met at least. */
int process_end(const struct street *street, const struct place *place);

/* feed.c: frames for a process, and its own CPU time for them. */
int feed_one(const struct street *street, const struct harness_span *span);
int feed_process(const struct street *street, const struct place *place, uint32_t frames,
		 struct walk *found);

#endif
