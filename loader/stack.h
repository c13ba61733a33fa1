/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The TC programs beside a host tier: ingress counts what reaches the host's stack and hands over what is
 * for a VIP, egress counts what leaves and gives nat servers' answers their VIP's address.
 *
 * By TCX where the kernel has it, else by filters of a clsact qdisc; next to whatever of others is there.
 * IFACE/tc/: "prog" (ingress), "prog-egress", "stats", "hand_map"; by TCX "link-ingress", "link-egress".
 */
#ifndef SHUNT_STACK_H
#define SHUNT_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "reason.h"
#include "sync.h"

enum stack_mode { STACK_NONE, STACK_CLSACT, STACK_TCX };

struct stack_state {
	enum stack_mode mode; /* of the ingress program */
	bool whole; /* the egress program is there too, and both are those of this loader */
};

/*
 * On these maps. What was there of ours is replaced, its counters kept if as many VIPs and servers fit, its
 * hand_map always. On failure what was there stays.
 */
int stack_attach(const char *interface, uint32_t ifindex, const struct map_set *maps,
		 struct reason *reason);
struct stack_state stack_look(const char *interface, uint32_t ifindex);
/* Programs, pins, and the qdisc if stack_attach() made it and nobody else uses it by now. */
void stack_detach(const char *interface, uint32_t ifindex);

/* "tcx", "clsact" or "no" */
const char *stack_mode_text(enum stack_mode mode);

#endif
