/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rounds: each case and, straight before it, the bare program with the same packets; in another
 * order each time, so that what the machine does meanwhile meets all cases alike, and with the program
 * loaded anew, so that no figure hangs on one place in memory.
 */
#include "bench.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figure figure_of(const double *values, uint32_t n)
{
	struct figure figure = {};
	double *sorted = malloc(n * sizeof(*sorted));

	if (!sorted)
		return figure;
	memcpy(sorted, values, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	figure.low = sorted[(n - 1) / 10];
	figure.median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	figure.high = sorted[n - 1 - (n - 1) / 10];
	free(sorted);
	return figure;
}

struct figure measure_difference(const struct measurement *measurement, const struct measured *of,
				 const struct measured *from)
{
	struct figure figure = {};
	double *values = malloc(measurement->rounds * sizeof(*values));

	if (!values)
		return figure;
	for (uint32_t i = 0; i < measurement->rounds; i++)
		values[i] = of->net[i] - from->net[i];
	figure = figure_of(values, measurement->rounds);
	free(values);
	return figure;
}

static bool is_chosen(const struct measurement *measurement, const struct bench_case *what,
		      const char *only)
{
	if (only && !strstr(what->name, only))
		return false;
	if (measurement->connections && what->connections != measurement->connections)
		return false;
	return !(measurement->quick && what->only_full);
}

static int choose(struct measurement *measurement, const char *only)
{
	uint32_t n = 0, n_cases;

	measurement->cases = cases_make(&n_cases);
	if (!measurement->cases)
		return -ENOMEM;
	measurement->list = calloc(n_cases + 1, sizeof(*measurement->list));
	if (!measurement->list)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_cases; i++)
		if (is_chosen(measurement, &measurement->cases[i], only))
			measurement->list[n++].what = &measurement->cases[i];
	if (!n)
		return -ENOENT;
	measurement->list[n++].what = measurement->list[0].what;
	measurement->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct measured *measured = &measurement->list[i];

		measured->net = calloc(measurement->rounds, sizeof(double));
		measured->gross = calloc(measurement->rounds, sizeof(double));
		if (!measured->net || !measured->gross)
			return -ENOMEM;
	}
	return 0;
}

/* Cases with the same frames share them: the one with fewer connections takes the first. */
static int lay_out(struct measurement *measurement, struct reason *reason)
{
	uint32_t sizes[FRAME_KINDS][2] = {}, bases[FRAME_KINDS][2] = {}, total = 0;
	const struct config *config = measurement->list[0].bed->config;
	int error;

	for (uint32_t i = 0; i < measurement->n; i++) {
		const struct bench_case *what = measurement->list[i].what;
		uint32_t *size = &sizes[what->frames][what->version == 6];

		if (*size < what->connections)
			*size = what->connections;
	}
	for (int i = 0; i < 2 * FRAME_KINDS; i++) {
		bases[i / 2][i % 2] = total;
		total += sizes[i / 2][i % 2];
	}
	error = harness_open(total, &measurement->harness);
	if (error)
		return reason_set(reason, REASON_UNKNOWN, "harness", -error, NULL);
	for (int i = 0; i < 2 * FRAME_KINDS; i++)
		frames_fill(harness_frames(measurement->harness) + bases[i / 2][i % 2],
			    sizes[i / 2][i % 2], config, (enum frame_kind)(i / 2), i % 2 ? 6 : 4);
	for (uint32_t i = 0; i < measurement->n; i++) {
		struct measured *measured = &measurement->list[i];

		measured->span.base = bases[measured->what->frames][measured->what->version == 6];
		measured->span.count = measured->what->connections;
		measured->span.spoofed = measured->what->spoofed;
		measured->span.hook = measured->what->hook;
	}
	return 0;
}

/* conn_track as the case is to find it. */
static int set_flows(struct measurement *measurement, const struct measured *measured)
{
	struct harness *harness = measurement->harness;
	const struct bed *bed = measured->bed;
	enum case_flows flows = measured->what->flows;
	struct harness_span span = measured->span;
	struct harness_result result;
	int error = 0;

	if (flows == FLOWS_NONE)
		return 0;
	if (flows == FLOWS_NEW || flows == FLOWS_FLOOD)
		error = bed_forget_flows(bed);
	if (!error)
		error = bed_set_budget(bed, UINT32_MAX);
	/* One lap by their own addresses, and one that tells of their connection IDs. */
	span.spoofed = false;
	if (!error && flows != FLOWS_NEW)
		error = harness_run(harness, bed->program, &span, 2 * span.count, &result);
	if (!error && (flows == FLOWS_MOVED || flows == FLOWS_FLOOD))
		error = bed_set_budget(bed, 0);
	return error;
}

static uint32_t batch_packets(const struct measurement *measurement,
			      const struct measured *measured)
{
	return measured->span.count > measurement->packets ? measured->span.count :
							     measurement->packets;
}

#define SETTLED_AFTER 3 /* windows in which a CPU judges whether asking its cache is worth it */

/* The cache as these packets have left it: full of them, or found to be of no use. */
static int settle_cache(struct measurement *measurement, const struct measured *measured)
{
	const struct bed *bed = measured->bed;
	struct harness_result result;
	uint64_t ran = 0, enough = SETTLED_AFTER * bed_cache_window();
	int error = bed_caches(measured->what->bed) ? bed_begin_cache(bed) : 0;

	while (!error && bed_caches(measured->what->bed) && ran < enough) {
		error = harness_run(measurement->harness, bed->program, &measured->span,
				    batch_packets(measurement, measured), &result);
		ran += result.time;
	}
	return error;
}

static int prepare(struct measurement *measurement, struct reason *reason)
{
	int error = 0;

	for (uint32_t i = 0; i < measurement->n; i++) {
		struct measured *measured = &measurement->list[i];
		struct bed *bed = &measurement->beds[measured->what->tier][measured->what->bed];

		if (!bed->object)
			error = bed_open(measured->what->tier, measured->what->bed, bed, reason);
		if (error)
			return error;
		measured->bed = bed;
	}
	error = lay_out(measurement, reason);
	for (uint32_t i = 0; i < measurement->n && !error; i++) {
		error = set_flows(measurement, &measurement->list[i]);
		if (!error)
			error = check_output(measurement->harness, &measurement->list[i], reason);
	}
	return error;
}

/* What became of each packet of the case that conn_track did not know. LB_FLOW_COUNT_COUNT: nothing. */
static enum lb_flow_counter flow_counter(const struct bench_case *what)
{
	switch (what->flows) {
	case FLOWS_NEW:
		return LB_FLOW_COUNT_added;
	case FLOWS_MOVED:
	case FLOWS_FLOOD:
		return LB_FLOW_COUNT_over_budget;
	default:
		return LB_FLOW_COUNT_COUNT;
	}
}

/* All packets of a batch, and none but they, went the way that the case is named for. */
static int check_way(const struct measured *measured, const struct bed_counts *before,
		     uint32_t packets, struct reason *reason)
{
	const struct bench_case *what = measured->what;
	struct bed_counts after;
	int error = bed_counts(measured->bed, &after);

	if (error)
		return reason_set(reason, REASON_UNKNOWN, "counters", -error, NULL);
	for (uint32_t i = 0; i < LB_REASON_COUNT; i++) {
		uint64_t counted = after.reasons[i].packets - before->reasons[i].packets;

		if (counted != (i == what->reason ? packets : 0))
			return reason_set(reason, REASON_UNKNOWN, "check", EPROTO,
					  "%s: %llu of %u packets counted as reason %u", what->name,
					  (unsigned long long)counted, packets, i);
	}
	if (what->hook != HOOK_XDP && (after.stack - before->stack < packets ||
				       after.stack_redirects - before->stack_redirects !=
					       (what->frames == FRAME_ANSWER ? 2 * packets : 0)))
		return reason_set(
			reason, REASON_UNKNOWN, "check", EPROTO,
			"%s: TC has counted %llu packets, %llu of them redirected", what->name,
			(unsigned long long)(after.stack - before->stack),
			(unsigned long long)(after.stack_redirects - before->stack_redirects));
	for (uint32_t i = 0; i < LB_FLOW_COUNT_COUNT; i++) {
		uint64_t counted = after.flows[i].packets - before->flows[i].packets;

		if (counted != (i == flow_counter(what) ? packets : 0))
			return reason_set(reason, REASON_UNKNOWN, "check", EPROTO,
					  "%s: %llu of %u packets in flow counter %u", what->name,
					  (unsigned long long)counted, packets, i);
	}
	return 0;
}

static int batch(struct measurement *measurement, struct measured *measured, uint32_t round,
		 struct reason *reason)
{
	uint32_t packets = batch_packets(measurement, measured);
	struct harness *harness = measurement->harness;
	struct harness_result bare, result;
	struct bed_counts before;
	int error = set_flows(measurement, measured);

	if (!error)
		error = settle_cache(measurement, measured);
	if (!error)
		error = harness_run(harness, harness_bare(harness, measured->what->hook),
				    &measured->span, packets, &bare);
	if (!error)
		error = bed_counts(measured->bed, &before);
	if (!error)
		error = harness_run(harness, bed_program(measured->bed, measured->what->hook),
				    &measured->span, packets, &result);
	if (error)
		return reason_set(reason, REASON_UNKNOWN, "test-run", -error, "%s",
				  measured->what->name);
	if (bare.verdict != (measured->what->hook == HOOK_XDP ? XDP_TX : (uint32_t)TC_ACT_UNSPEC))
		return reason_set(reason, REASON_UNKNOWN, "check", EPROTO, "the bare program");
	measured->gross[round] = (double)result.time / packets;
	measured->net[round] = measured->gross[round] - (double)bare.time / packets;
	return check_way(measured, &before, packets, reason);
}

static int reload_all(struct measurement *measurement, struct reason *reason)
{
	int error = 0;

	for (uint32_t i = 0; i < TIER_COUNT * BED_KINDS && !error; i++) {
		struct bed *bed = &measurement->beds[i / BED_KINDS][i % BED_KINDS];

		if (bed->object)
			error = bed_reload(bed, reason);
	}
	return error;
}

static int play_round(struct measurement *measurement, uint32_t round, struct reason *reason)
{
	uint32_t n = measurement->n;
	int error = reload_all(measurement, reason);

	for (uint32_t i = 0; i < n && !error; i++)
		error = batch(measurement, &measurement->list[(i + round) % n], round, reason);
	return error;
}

int measure(struct measurement *measurement, const char *only, struct reason *reason)
{
	uint32_t n;
	int error = choose(measurement, only);

	if (error)
		return reason_set(reason, REASON_USAGE, "cases", -error, "%s", only ? only : "");
	error = prepare(measurement, reason);
	n = measurement->n;
	for (uint32_t round = 0; round < measurement->rounds && !error; round++)
		error = play_round(measurement, round, reason);
	if (error)
		return error;
	for (uint32_t i = 0; i < n; i++) {
		struct measured *measured = &measurement->list[i];

		measured->net_figure = figure_of(measured->net, measurement->rounds);
		measured->gross_figure = figure_of(measured->gross, measurement->rounds);
	}
	measurement->noise =
		measure_difference(measurement, &measurement->list[n - 1], &measurement->list[0]);
	return 0;
}

void measure_free(struct measurement *measurement)
{
	harness_close(measurement->harness);
	for (uint32_t i = 0; i < TIER_COUNT * BED_KINDS; i++)
		bed_close(&measurement->beds[i / BED_KINDS][i % BED_KINDS]);
	for (uint32_t i = 0; i < measurement->n; i++) {
		free(measurement->list[i].net);
		free(measurement->list[i].gross);
	}
	free(measurement->list);
	free(measurement->cases);
}
