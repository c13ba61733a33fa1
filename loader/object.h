/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A tier's embedded object into the kernel: opened, sized, bound to a card or not, loaded. Attaches
 * and pins nothing.
 */
#ifndef SHUNT_OBJECT_H
#define SHUNT_OBJECT_H

#include <bpf/libbpf.h>
#include <stdint.h>

#include "plan.h"
#include "reason.h"
#include "tier.h"

struct object_request {
	enum tier tier;
	const char *what; /* for messages: the interface */
	uint32_t ifindex; /* of the card the offload tier is for; 0: on the host */
	const struct plan_sizes *sizes;
	const struct plan_sizes *floor; /* what a card's maps must hold; NULL: nothing yet */
	const char *driver; /* of the card, whose lines in the kernel's log count; or NULL */
	const char *reuse; /* folder of pinned maps to take instead of new ones, or NULL */
	const char *flows; /* folder of pinned maps of which only those of flows are taken, or NULL */
	const struct bpf_object *share; /* loaded object to take the maps of, or NULL */
};

/* Opened and with its maps settled, not loaded: what libxdp wants. bpf_object__close() it. */
int object_open(const struct object_request *request, struct bpf_object **object,
		struct reason *reason);
int object_load(const struct object_request *request, struct bpf_object **object, int *program_fd,
		struct reason *reason);
/* Tells this loader's object of a tier from another build's. */
uint64_t object_build(enum tier tier);
uint64_t object_hash(const unsigned char *object, size_t size);

#endif
