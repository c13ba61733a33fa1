/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Live frames through attached programs: the namespace, its veth pairs, and what is measured there.
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
struct ends {
	struct bpf_object *object;
	int sink, swap, met_fd, n_cpus;
};

int ends_open(struct ends *ends);
void ends_close(struct ends *ends);
/* Frames that have met a sink so far. */
uint64_t ends_met(const struct ends *ends);

/* spin.c: CPU time of what runs where a thread does, softirqs and their daemon included. */
struct spin {
	int cpu;
	int daemon; /* its schedstat; -1: not found */
};

int spin_open(int cpu, struct spin *spin); /* moves the calling thread there */
void spin_close(struct spin *spin);
uint64_t spin_time(const struct spin *spin); /* ns */

/* veth.c */
#define VETH_CASES 14

struct veth_case {
	const char *name, *tier; /* tier: of the program in the balancer's place */
	uint32_t cores;
	uint32_t base; /* position of the case that it is compared with */
	double at_least; /* aim for that ratio; 0: none */
	bool inverse; /* how many times as much the other one does */
};

struct veth_measured {
	const struct veth_case *what;
	bool missing; /* something it needs is not there */
	double *mpps; /* of a core, one a round */
	double *ratio; /* to the base in the same round */
	struct figure mpps_figure, ratio_figure;
};

struct veth {
	uint32_t rounds, frames; /* frames a batch */
	struct veth_measured
		list[VETH_CASES]; /* the last one: the bare program once more, for the noise */
};

int veth_measure(struct veth *veth, struct reason *reason);
void veth_free(struct veth *veth);

#endif
