/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Live frames through what is in a balancer's place: the cases, and what is found of them.
 */
#ifndef BENCH_VETH_H
#define BENCH_VETH_H

#include "bench.h"

/* net.c: a network namespace that ends with this process, and what is in it. */
struct net_pair {
	uint32_t near, far; /* ifindex: where frames are sent from and end, where the balancer is */
};

int net_open(struct reason *reason);
/* Pair number 0 or 1. What comes in at the far end for the VIP is routed back out of it. */
int net_make_pair(uint32_t number, struct net_pair *pair, struct reason *reason);
/* input on a command's stdin. 0, -ENOENT if there is no such command, or -EIO with its complaint on stderr. */
int net_command(const char *command, const char *input);

/* ends.c: bench/ends.bpf.c in the kernel. */
enum end_program { END_SINK, END_SWAP, END_COUNT, END_WRAP, END_PROGRAMS };

struct ends {
	struct bpf_object *object;
	int programs[END_PROGRAMS], met_fd, n_cpus;
};

int ends_open(struct ends *ends);
void ends_close(struct ends *ends);
/* Frames that have met a sink so far, on that CPU. -1: on all. */
uint64_t ends_met(const struct ends *ends, int cpu);

/* cases.c */
enum veth_place {
	PLACE_END, /* one of the bench's own programs */
	PLACE_BALANCER,
	PLACE_STACK, /* nobody: the kernel routes */
	PLACE_DNAT, /* the same with a rule of nft */
	PLACE_SERVICE, /* loader run, tier userspace */
	PLACE_NGINX,
};

struct veth_case {
	const char *name, *tier; /* tier: of what is in the balancer's place */
	enum veth_place place;
	enum end_program program; /* of PLACE_END */
	enum bed_kind bed; /* of PLACE_BALANCER and PLACE_SERVICE */
	enum frame_kind frames;
	enum lb_reason reason; /* by which a balancer must say it went */
	uint32_t connections, cores;
	bool spoofed; /* each frame from a client of its own */
	bool flood; /* the connections are known flows, and new ones are above the budget */
	uint32_t base; /* position of the case that it is compared with */
	uint32_t floor; /* and of bare XDP_TX in the same hook */
	double at_least; /* aim for that ratio; 0: none */
	bool inverse; /* how many times as much the other one does */
	bool only_full; /* left out when it has to be quick */
};

/* All there are; the last one is the bare program once more, for the noise. Freed by the caller; NULL: no memory. */
struct veth_case *veth_cases_make(bool quick, uint32_t *n);
/* As bed_modes has it. "": it has none. */
const char *veth_mode(const struct veth_case *what);
/* One that counts its own CPU time alone. */
bool veth_is_process(const struct veth_case *what);

/* Frames that a process has before it at a time: half of what its socket has room for. */
#define VETH_UNDER_WAY 128

/* veth.c */
enum veth_value {
	VETH_MPPS, /* million frames a second of a core's CPU time; of two cores, of both */
	VETH_CLOCK, /* the same on the clock: less, as far as others run meanwhile */
	VETH_NS, /* CPU time a frame */
	VETH_ABOVE, /* of it, what the floor does not take in the same round */
	VETH_RATIO, /* of VETH_MPPS to the base's in the same round */
	VETH_LOST, /* of all that were sent */
	VETH_VALUES,
};

struct veth_measured {
	const struct veth_case *what;
	bool missing; /* something it needs is not there */
	double *values[VETH_VALUES]; /* one a round */
	struct figure figures[VETH_VALUES];
};

struct veth {
	uint32_t rounds, frames; /* frames a batch */
	bool quick;
	struct veth_case *cases;
	uint32_t n;
	struct veth_measured *list; /* the last one: the bare program once more, for the noise */
};

int veth_measure(struct veth *veth, struct reason *reason);
void veth_free(struct veth *veth);

#endif
