/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A private copy of a tier's program and maps, fed by BPF_PROG_TEST_RUN. What was decided is read
 * from the program's own counters, so tracing needs no second path through it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "decide.h"
#include "nexthop.h"
#include "relay.h"
#include "trace.h"
#include "tracked.h"

/* One counter map and what it showed before the frame. */
struct watch {
	int fd;
	uint32_t n;
	struct lb_count *before, *after;
};

struct trace {
	const struct config *config;
	struct bpf_object *object;
	int program;
	struct map_set maps;
	struct plan *plan;
	struct watch reasons, vips, servers, cids;
	/* The tier userspace. */
	struct relay *relay;
	struct tally *tally;
	struct tracked *tracked;
	struct tables tables;
	struct trace_outcome *outcome; /* of the frame that is under way */
	uint8_t out[65536 + FORWARD_HEADROOM];
};

static const char *const verdict_names[] = {
	[XDP_ABORTED] = "XDP_ABORTED", [XDP_DROP] = "XDP_DROP",		[XDP_PASS] = "XDP_PASS",
	[XDP_TX] = "XDP_TX",	       [XDP_REDIRECT] = "XDP_REDIRECT",
};

const char *trace_verdict_name(uint32_t verdict)
{
	return verdict <= XDP_REDIRECT ? verdict_names[verdict] : "unknown";
}

/* 192.0.0.8 is IPv4's dummy address (RFC 7600), 100:: is IPv6's discard prefix (RFC 6666). */
static struct config_address stand_in_source(int family)
{
	struct config_address source = { .family = family };

	config_address_parse(family == AF_INET ? "192.0.0.8" : "100::", &source);
	return source;
}

static int invent_hops(const struct config *config, struct plan_hop **hops)
{
	uint32_t n = 0;

	while (plan_server(config, n, NULL))
		n++;
	*hops = calloc(n + 1, sizeof(**hops));
	if (!*hops)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct plan_hop *hop = &(*hops)[i];

		hop->resolved = true;
		hop->source = stand_in_source(plan_server(config, i, NULL)->address.family);
		hop->source_mac[0] = 2;
		hop->destination_mac[0] = 2;
		hop->destination_mac[4] = (i + 1) >> 8;
		hop->destination_mac[5] = (i + 1) & 0xff;
	}
	return 0;
}

static int fill_maps(struct trace *trace, const struct plan_hop *hops, struct reason *reason)
{
	char problem[200];
	uint32_t generation;
	bool changed;
	int err = plan_build(trace->config, &trace->maps.sizes, hops, NULL, &trace->plan, problem,
			     sizeof(problem));

	if (err)
		return reason_set(reason, err == -ENOSPC ? REASON_CAPACITY : REASON_UNKNOWN, "plan",
				  -err, "%s", problem);
	return sync_apply(&trace->maps, trace->plan, NULL, false, &generation, &changed, reason);
}

static int watch_open(struct watch *watch, int fd, uint32_t n)
{
	watch->fd = fd;
	watch->n = n;
	watch->before = calloc(n, sizeof(*watch->before));
	watch->after = calloc(n, sizeof(*watch->after));
	return watch->before && watch->after ? 0 : -ENOMEM;
}

static void watch_close(struct watch *watch)
{
	free(watch->before);
	free(watch->after);
	watch->before = NULL;
	watch->after = NULL;
}

/* The index whose counter moved, 0 <= index < n; -1: none. */
static int watch_moved(struct watch *watch, bool percpu)
{
	struct lb_count *swap = watch->before;
	int moved = -1;

	if (sync_counts(watch->fd, percpu, watch->n, watch->after))
		return -1;
	for (uint32_t i = 0; i < watch->n; i++)
		if (watch->after[i].packets != watch->before[i].packets)
			moved = (int)i;
	watch->before = watch->after;
	watch->after = swap;
	return moved;
}

/* More flows than anybody traces: memory for as many as run would be got and given back each time. */
#define TRACE_FLOWS 4096

static struct plan_sizes private_sizes(const struct config *config, enum tier tier)
{
	struct plan_sizes sizes = plan_sizes(&config->limits, config->rows);

	/* It is by them that a plan knows a card, which has no room for all modes. */
	if (tier != TIER_OFFLOAD)
		sizes.known_cids = 0;
	if (sizes.flows > TRACE_FLOWS)
		sizes.flows = TRACE_FLOWS;
	return sizes;
}

/* Numbers were given in file order, for there was nothing before: number n is position n - 1. */
static void name_things(struct trace *trace, struct trace_outcome *outcome, int vip, int server)
{
	uint32_t pool = 0;

	outcome->vip = vip > 0 ? &trace->config->vips[vip - 1] : NULL;
	outcome->server = server > 0 ? plan_server(trace->config, (uint32_t)server - 1, &pool) :
				       NULL;
	outcome->pool = outcome->server ? &trace->config->pools[pool] : NULL;
}

static int watch_all(struct trace *trace)
{
	const struct config *config = trace->config;
	int err = watch_open(&trace->reasons, trace->maps.reason_stats, LB_REASON_COUNT);

	if (!err)
		err = watch_open(&trace->vips, trace->maps.vip_stats, config->n_vips + 1);
	if (!err)
		err = watch_open(&trace->servers, trace->maps.server_stats,
				 trace->plan->n_servers + 1);
	if (!err)
		err = watch_open(&trace->cids, trace->maps.cid_stats,
				 LB_CID_INDEX(config->n_pools + 1, 0));
	return err;
}

static int show_sent(void *context, const struct forwarded *sent)
{
	struct trace *trace = context;

	memcpy(trace->out, sent->frame, sent->length);
	trace->outcome->frame = trace->out;
	trace->outcome->length = sent->length;
	trace->outcome->verdict = sent->server && sent->server->egress ? XDP_REDIRECT : XDP_TX;
	return 0;
}

static void show_count(void *context, const struct relay_count *counted)
{
	struct trace *trace = context;
	struct trace_outcome *outcome = trace->outcome;

	outcome->reason = counted->reason;
	outcome->config_id = counted->reason == LB_REASON_cid ? (int)counted->config_id : -1;
	name_things(trace, outcome, (int)counted->vip, (int)counted->server);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void run_userspace(struct trace *trace, const uint8_t *frame, size_t length)
{
	/* Until something is sent or counted: a fragment that is held. */
	*trace->outcome = (struct trace_outcome){ .verdict = XDP_PASS,
						  .reason = LB_REASON_fragment,
						  .config_id = -1,
						  .frame = frame,
						  .length = length };
	tables_follow(&trace->maps, &trace->tables, false);
	trace->tables.view.flows = tracked_turn(trace->tracked, &trace->tables.setting);
	relay_frame(trace->relay, &trace->tables.view, trace->tables.setting.answers, frame, length,
		    0, 0, now_ms());
}

/* A private copy of the tier, empty. */
static int open_tier(struct trace *trace, enum tier tier, const struct plan_sizes *sizes,
		     struct reason *reason)
{
	const struct relay_sink sink = { .context = trace, .send = show_sent, .count = show_count };
	int err = attach_load_private(tier, sizes, &trace->object, &trace->program, &trace->maps,
				      reason);

	if (err || tier != TIER_USERSPACE)
		return err;
	trace->relay = relay_new(&sink);
	trace->tally = tally_new(&trace->maps);
	trace->tracked = trace->tally ? tracked_new(&trace->maps, trace->tally, true) : NULL;
	return trace->relay && trace->tracked ?
		       0 :
		       reason_set(reason, REASON_UNKNOWN, "trace", ENOMEM, NULL);
}

int trace_open(enum tier tier, const struct config *config, uint32_t ifindex, struct trace **result,
	       struct reason *reason)
{
	struct plan_sizes sizes = private_sizes(config, tier);
	struct trace *trace = calloc(1, sizeof(*trace));
	struct plan_hop *hops = NULL;
	int err;

	if (!trace)
		return reason_set(reason, REASON_UNKNOWN, "trace", ENOMEM, NULL);
	trace->config = config;
	trace->program = -1;
	memset(&trace->maps, 0xff, offsetof(struct map_set, percpu)); /* descriptors: -1 */
	err = open_tier(trace, tier, &sizes, reason);
	if (err) {
		trace_close(trace);
		return err;
	}
	/* Of the object itself: a tier of the host has no conn_map, and reaches servers in every mode. */
	if (trace->relay)
		sizes.known_cids = 0;
	else
		sizes = trace->maps.sizes;
	err = ifindex ? nexthop_resolve(config, ifindex, 1000, &hops, reason) :
			invent_hops(config, &hops);
	if (!err)
		err = fill_maps(trace, hops, reason);
	if (!err && !trace->relay)
		err = watch_all(trace);
	free(hops);
	if (err) {
		if (reason->code == REASON_NONE)
			reason_set(reason, REASON_UNKNOWN, "trace", -err, NULL);
		trace_close(trace);
		return err;
	}
	*result = trace;
	return 0;
}

int trace_know(struct trace *trace, const uint8_t *frame, size_t length, struct reason *reason)
{
	struct lb_conn conn = {};
	struct lb_conn_key key;

	if (trace->maps.conn < 0)
		return reason_set(reason, REASON_USAGE, "trace", EOPNOTSUPP,
				  "--known: this tier decodes by itself");
	if (!decide_known_frame(trace->plan, frame, length, &key, &conn.server))
		return 0;
	if (bpf_map_update_elem(trace->maps.conn, &key, &conn, BPF_NOEXIST) && errno != EEXIST)
		return reason_set(reason, REASON_CAPACITY, "map-write", errno, LB_MAP_CONN);
	return 0;
}

int trace_run(struct trace *trace, const uint8_t *frame, size_t length,
	      struct trace_outcome *outcome, struct reason *reason)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = (__u32)length,
		    .data_out = trace->out, .data_size_out = sizeof(trace->out), .repeat = 1);
	bool percpu = trace->maps.percpu;
	int moved, cid;

	memset(outcome, 0, sizeof(*outcome));
	if (trace->relay) {
		trace->outcome = outcome;
		run_userspace(trace, frame, length);
		return 0;
	}
	if (length < TRACE_FRAME_MIN || length > TRACE_FRAME_MAX)
		return reason_set(reason, REASON_UNKNOWN, "test-run", EMSGSIZE,
				  "%zu octets: the kernel's test run takes %d to %d", length,
				  TRACE_FRAME_MIN, TRACE_FRAME_MAX);
	if (bpf_prog_test_run_opts(trace->program, &run))
		return reason_set(reason, REASON_UNKNOWN, "test-run", errno, "%zu octets", length);
	moved = watch_moved(&trace->reasons, percpu);
	outcome->verdict = run.retval;
	outcome->reason = moved < 0 ? LB_REASON_COUNT : (enum lb_reason)moved;
	cid = watch_moved(&trace->cids, percpu);
	outcome->config_id = cid < 0 ? -1 : cid & LB_CONFIG_RESERVED;
	name_things(trace, outcome, watch_moved(&trace->vips, percpu),
		    watch_moved(&trace->servers, percpu));
	outcome->frame = trace->out;
	outcome->length = run.data_size_out;
	return 0;
}

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	watch_close(&trace->cids);
	watch_close(&trace->servers);
	watch_close(&trace->vips);
	watch_close(&trace->reasons);
	tables_free(&trace->tables);
	tracked_free(trace->tracked);
	tally_free(trace->tally);
	relay_free(trace->relay);
	plan_free(trace->plan);
	map_set_close(&trace->maps);
	bpf_object__close(trace->object);
	free(trace);
}
