/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the bench's files know of each other: cases, beds, frames, measurements.
 */
#ifndef BENCH_H
#define BENCH_H

#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>

#include "harness.h"
#include "plan.h"
#include "sync.h"

#define BENCH_SERVERS	  1024
#define BENCH_CONNECTIONS 512000 /* the most that a case has */
#define BENCH_FRAME	  128 /* octets of a frame as it comes in */
#define BENCH_FRAME_MAX	  (BENCH_FRAME + 64)
#define BENCH_PORT	  443
#define BENCH_SERVER_PORT 4433 /* of nat */

enum bench_hook { HOOK_XDP, HOOK_INGRESS, HOOK_EGRESS }; /* the last two: of TC */

/* harness.c */
struct harness;

struct harness_span {
	uint32_t base, count; /* in frame_map */
	uint32_t first; /* the one to begin with, from base */
	bool spoofed; /* each packet from a client of its own */
	enum bench_hook hook; /* as what it is handed on */
};

struct harness_result {
	uint64_t time; /* ns of this thread on a CPU */
	uint32_t verdict; /* of the last packet */
	uint32_t length;
	uint8_t frame[BENCH_FRAME_MAX]; /* the last packet as it was left */
};

int harness_open(uint32_t n_frames, struct harness **harness);
void harness_close(struct harness *harness);
struct harness_frame *harness_frames(struct harness *harness);
int harness_bare(const struct harness *harness, enum bench_hook hook);
int harness_run(struct harness *harness, int program, const struct harness_span *span,
		uint32_t packets, struct harness_result *result);
/* Live frames out of an interface, in as many calls as one likes and from two CPUs at once. */
int harness_ready(const struct harness *harness, const struct harness_span *span);
int harness_send(const struct harness *harness, uint32_t ifindex, uint32_t packets);

/* bed.c: a tier's real object with real tables, attached nowhere. */
enum bed_kind {
	BED_IPIP4,
	BED_IPIP6,
	BED_L2DSR,
	BED_GUE4,
	BED_GUE6,
	BED_NAT4,
	BED_NAT6,
	BED_FLOWS, /* as BED_IPIP4, and conn_track holds flows */
	BED_NEW, /* the same, but it is emptied before each batch */
	BED_CACHED, /* as BED_IPIP4, and connection IDs that were decoded are cached */
	BED_KINDS,
};

struct bed {
	struct config *config;
	enum tier tier;
	struct bpf_object *object; /* its maps stay */
	struct bpf_object *again; /* the program loaded anew, with the same maps; NULL: not yet */
	int program;
	struct bpf_object *stack[3]; /* the TC programs, by hook, where the bed has any */
	struct map_set maps;
	struct plan *plan;
};

int bed_open(enum tier tier, enum bed_kind kind, struct bed *bed, struct reason *reason);
/*
 * Loads the program anew: the kernel puts its code to another place each time, and the same code takes
 * up to half as long again in one place as in another.
 */
int bed_reload(struct bed *bed, struct reason *reason);
void bed_close(struct bed *bed);
/* Of a hook: the driver's or the TC one. */
int bed_program(const struct bed *bed, enum bench_hook hook);
bool bed_caches(enum bed_kind kind);
/* Connection IDs that were decoded: asking is worth it to begin with, and then the program judges by itself. */
int bed_begin_cache(const struct bed *bed);
/* ns in which a CPU judges whether to go on asking. */
uint64_t bed_cache_window(void);
/* How many new flows it remembers in a second. */
int bed_set_budget(const struct bed *bed, uint32_t flows);
/* And flow_recent_map, which would tell of them for a while. */
int bed_forget_flows(const struct bed *bed);

struct bed_counts {
	struct lb_count reasons[LB_REASON_COUNT], flows[LB_FLOW_COUNT_COUNT];
	uint64_t stack, stack_redirects; /* packets, of all that TC has counted */
};

/* So far. */
int bed_counts(const struct bed *bed, struct bed_counts *counts);

/* A file of the loader's, without interfaces and keys. */
void bed_write_file(FILE *file, enum bed_kind kind);
/* The same in every bed, for its CIDs are in all of them. */
struct config *bed_config(enum bed_kind kind);
bool bed_tracks(enum bed_kind kind);
extern const char *const bed_modes[BED_KINDS];

/* frames.c: who sends what. */
enum frame_kind {
	FRAME_CLEAR,
	FRAME_SINGLE,
	FRAME_THREE,
	FRAME_FOUR,
	FRAME_HASH, /* a config id that no config has */
	FRAME_INITIAL, /* the same in a long header */
	FRAME_NOT_VIP,
	FRAME_NOT_UDP,
	FRAME_ANSWER, /* of a nat server, to a client */
	FRAME_KINDS,
};

/* n connections from `frames` on. version: of IP. */
void frames_fill(struct harness_frame *frames, uint32_t n, const struct config *config,
		 enum frame_kind kind, int version);
/* Position of the server that a connection's CIDs name. */
uint32_t frames_server(uint32_t connection);
/* The config id, where the kind has one in the file. */
uint32_t frames_config_id(enum frame_kind kind);
extern const uint8_t frames_key[CONFIG_KEY_SIZE];

/* kernel/cases.c */
enum case_flows {
	FLOWS_NONE, /* conn_track is not asked, or not there */
	FLOWS_KNOWN, /* it has met every packet of the case before */
	FLOWS_MOVED, /* the connection, but not the client's address; and has no budget */
	FLOWS_NEW, /* none, and has room and budget for them */
	FLOWS_FLOOD, /* none, and no budget, but the flows of the same packets as they are not spoofed */
};

struct bench_case {
	const char *name;
	enum frame_kind frames;
	enum bed_kind bed;
	enum tier tier;
	enum bench_hook hook;
	int version; /* of IP, as it comes in */
	uint32_t connections;
	enum lb_reason reason; /* by which the program must say it went */
	enum case_flows flows;
	bool spoofed; /* each packet from a client of its own */
	bool only_full; /* left out when it has to be quick */
};

/* Of the program: a tier's name, or TC's. */
const char *case_place(const struct bench_case *what);
/* All there are, in the order of the table. *n: how many. Freed by the caller; NULL: no memory. */
struct bench_case *cases_make(uint32_t *n);

/* kernel/measure.c */
struct figure {
	double low, median, high; /* 10th percentile, median, 90th */
};

struct measured {
	const struct bench_case *what;
	const struct bed *bed;
	struct harness_span span;
	double *net, *gross; /* ns a packet, one a round */
	struct figure net_figure, gross_figure;
};

struct measurement {
	uint32_t rounds, packets; /* a batch has packets, or one lap of the connections */
	uint32_t connections; /* only cases that have as many; 0: all */
	bool quick;
	struct bench_case *cases;
	uint32_t n;
	struct measured *list; /* the first case stands a second time at the end, for the noise */
	struct figure noise; /* between the two */
	struct bed beds[TIER_COUNT][BED_KINDS];
	struct harness *harness;
};

struct figure figure_of(const double *values, uint32_t n);
int measure(struct measurement *measurement, const char *only, struct reason *reason);
void measure_free(struct measurement *measurement);
/* Difference between two cases in each round. NULL or the same: of nothing. */
struct figure measure_difference(const struct measurement *measurement, const struct measured *of,
				 const struct measured *from);

/* kernel/check.c: 0, or -EPROTO with what is wrong in reason. */
int check_output(struct harness *harness, const struct measured *measured, struct reason *reason);

/* objects.S */
extern const char bench_compiler[]; /* of the BPF objects */

#endif
