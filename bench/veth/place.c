/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts what a case is about into the balancer's place, and takes it out again.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "veth/street.h"

static const char dnat[] = "table ip bench {\n"
			   "  chain in {\n"
			   "    type nat hook prerouting priority dstnat;\n"
			   "    ip daddr 192.0.2.80 udp dport 443 dnat to 10.1.0.1\n"
			   "  }\n"
			   "}\n";

static const struct bed *bed_of(const struct street *street, const struct veth_case *what)
{
	return &street->beds[strcmp(what->tier, "generic") ? TIER_DRIVER : TIER_GENERIC][what->bed];
}

/* It knows the connections and nobody else, and may not come to know more. */
static int flood(const struct street *street, const struct place *place)
{
	struct harness_span span = place->span;
	struct harness_result result;
	int error = bed_forget_flows(place->bed);

	span.spoofed = false;
	if (!error)
		error = bed_set_budget(place->bed, UINT32_MAX);
	if (!error)
		error = harness_run(street->harness, place->bed->program, &span, 2 * span.count,
				    &result);
	return error ? error : bed_set_budget(place->bed, 0);
}

static int attach(const struct street *street, const struct place *place)
{
	int error = 0;

	for (uint32_t i = 0; i < place->what->cores && !error; i++)
		error = bpf_xdp_attach((int)street->pairs[i].far, place->program, place->flags,
				       NULL);
	return error;
}

int place_take(const struct street *street, const struct veth_case *what, struct place *place)
{
	bool generic = !strcmp(what->tier, "generic");
	int error = 0;

	*place = (struct place){
		.what = what,
		.program = -1,
		.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
		.span = { .base = street->bases[what->frames],
			  .count = what->connections,
			  .spoofed = what->spoofed },
	};
	if (what->place == PLACE_END)
		place->program = street->ends.programs[what->program];
	if (what->place == PLACE_BALANCER) {
		place->bed = bed_of(street, what);
		place->program = place->bed->program;
	}
	if (what->flood)
		error = flood(street, place);
	if (!error)
		error = harness_ready(street->harness, &place->span);
	if (!error && place->program >= 0)
		error = attach(street, place);
	if (!error && what->place == PLACE_DNAT && net_command("nft -f - 2>&1", dnat))
		error = -ENOENT; /* no nft, or a kernel without it */
	if (!error && veth_is_process(what))
		error = process_start(street, place);
	return error;
}

int place_leave(const struct street *street, struct place *place)
{
	int error = 0;

	for (uint32_t i = 0; i < place->what->cores && place->program >= 0; i++)
		bpf_xdp_detach((int)street->pairs[i].far, place->flags, NULL);
	if (place->what->place == PLACE_DNAT)
		net_command("nft -f -", "delete table ip bench\n");
	if (place->process > 0)
		error = process_end(street, place);
	place->process = 0;
	return error;
}
