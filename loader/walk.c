/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Attaches the best tiers an interface has. See walk.h.
 */
#include "walk.h"

#include <errno.h>
#include <string.h>

#include "advice.h"

#define NEIGHBOUR_TIMEOUT_MS 2000

void walk_request_init(struct walk_request *request, const char *interface,
		       const struct config *config)
{
	static const struct config_limits limits = {
		.servers = LB_DEFAULT_SERVERS,
		.server_ids = LB_DEFAULT_SERVER_IDS,
		.vips = LB_DEFAULT_VIPS,
		.pools = LB_DEFAULT_POOLS,
		.known_cids = LB_DEFAULT_KNOWN_CIDS,
		.flows = LB_DEFAULT_FLOWS,
		.cached_cids = LB_DEFAULT_CACHED,
	};
	uint32_t i;

	*request = (struct walk_request){
		.interface = interface,
		.only = TIER_NONE,
		.require = TIER_NONE,
		.options = { .exclusive = true },
		.config = config,
		.timeout_ms = NEIGHBOUR_TIMEOUT_MS,
	};
	request->options.sizes = config ? plan_sizes(&config->limits, config->rows) :
					  plan_sizes(&limits, LB_DEFAULT_ROWS);
	if (config)
		request->options.floor = plan_floor(config);
	for (i = 0; config && i < config->n_interfaces; i++) {
		if (strcmp(config->interfaces[i].name, interface))
			continue;
		request->only = config->interfaces[i].tier;
		request->require = config->interfaces[i].require;
		request->options.exclusive = config->interfaces[i].exclusive;
	}
}

struct fill {
	const struct walk_request *request;
	struct apply_result *result;
	bool filled;
	bool failed;
};

static int fill_maps(struct attachment *attachment, void *context, struct reason *reason)
{
	struct fill *fill = context;
	const struct apply_request request = { .timeout_ms = fill->request->timeout_ms };
	int error;

	if (!fill->request->config)
		return 0;
	error = apply_config(attachment, fill->request->config, &request, fill->result, reason);
	fill->filled = !error;
	fill->failed = error;
	return error;
}

/* What no other tier could do better either. */
static bool is_final(const struct reason *reason)
{
	switch (reason->code) {
	case REASON_NO_INTERFACE:
	case REASON_NO_PERMISSION:
	case REASON_NO_BPFFS:
	case REASON_DEVICE_GONE:
	case REASON_ABI:
		return true;
	default:
		return false;
	}
}

/* In the interface's own terms, where there is one to ask. */
static void explain(const struct walk_request *request, enum tier tier, struct reason *reason)
{
	struct reason ignored;
	struct nic nic;

	if (!is_final(reason) && !nic_read(request->interface, &nic, &ignored))
		advise(&nic, tier, reason);
}

/* *final: it is no use to try the next tier. */
static int try_tier(const struct walk_request *request, enum tier tier, struct walk_tier *result,
		    bool *final)
{
	struct fill fill = { .request = request, .result = &result->applied };
	int error = attach_tier(request->interface, tier, &request->options, fill_maps, &fill,
				&result->attachment, &result->outcome, &result->reason);

	/* The file itself, or the way to its servers, is the same for every host tier. */
	*final = error && (is_final(&result->reason) || (fill.failed && tier != TIER_OFFLOAD));
	if (error) {
		explain(request, tier, &result->reason);
		result->state = WALK_NO;
		return error;
	}
	result->state = WALK_YES;
	if (fill.filled || !request->config)
		return 0;
	/* Maps that were there already. If they cannot take the file they keep what they have. */
	error = fill_maps(&result->attachment, &fill, &result->reason);
	*final = error;
	return error;
}

static void undo(const struct walk_request *request, struct walk *walk)
{
	struct reason ignored = {};
	enum tier tier;

	for (tier = TIER_COUNT; tier-- > 0;) {
		struct walk_tier *done = &walk->tiers[tier];

		if (done->state != WALK_YES || done->outcome != ATTACH_NEW)
			continue;
		attach_detach(request->interface, tier, &ignored);
		attach_close(&done->attachment);
		done->state = WALK_UNTRIED;
	}
}

/* The balancer's, below all others, or instead of them where the file allows. */
static bool wants_userspace(const struct walk_request *request, bool attached)
{
	if (!request->served || request->only == TIER_USERSPACE)
		return false;
	if (attached)
		return true;
	return request->only == TIER_NONE &&
	       (request->require == TIER_NONE || request->require == TIER_USERSPACE);
}

int walk_tiers(const struct walk_request *request, struct walk *walk, struct reason *reason)
{
	enum tier tier, last = TIER_OFFLOAD;
	enum tier worst = request->only == TIER_USERSPACE ? TIER_USERSPACE : TIER_GENERIC;
	bool attached = false, final = false, ignored;
	int error = -EOPNOTSUPP;

	memset(walk, 0, sizeof(*walk));
	for (tier = TIER_OFFLOAD; tier <= worst && !final; tier++) {
		if (request->only != TIER_NONE && tier != request->only)
			continue;
		/* The floor counts for the best tier: below a card any host tier does. */
		if (request->require != TIER_NONE && !attached && tier > request->require)
			break;
		last = tier;
		error = try_tier(request, tier, &walk->tiers[tier], &final);
		if (!error && tier != TIER_OFFLOAD)
			worst = tier;
		attached |= !error;
	}
	/* Without it the others do what they did. */
	if (!final && wants_userspace(request, attached) &&
	    !try_tier(request, TIER_USERSPACE, &walk->tiers[TIER_USERSPACE], &ignored))
		attached = true;
	if (attached && !final)
		return 0;
	*reason = walk->tiers[last].reason;
	undo(request, walk);
	if (reason->code == REASON_NONE)
		return reason_set(reason, REASON_USAGE, "tier", EINVAL,
				  "%s: -t %s is below --require %s", request->interface,
				  tiers[request->only].name, tiers[request->require].name);
	return error;
}

void walk_free(struct walk *walk)
{
	enum tier tier;

	for (tier = 0; tier < TIER_COUNT; tier++) {
		if (walk->tiers[tier].state == WALK_YES)
			attach_close(&walk->tiers[tier].attachment);
		apply_result_free(&walk->tiers[tier].applied);
		walk->tiers[tier].state = WALK_UNTRIED;
	}
}
