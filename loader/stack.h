/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The TC program that counts what reaches the host's stack, beside a host tier: a filter of its own
 * on the interface's ingress. Touches no filter and no qdisc of anybody else.
 */
#ifndef SHUNT_STACK_H
#define SHUNT_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "reason.h"
#include "sync.h"

/*
 * Reads the VIPs from these maps. What was there of ours is replaced, its counters kept if as many
 * VIPs fit. On failure what was there stays.
 */
int stack_attach(const char *interface, uint32_t ifindex, const struct map_set *maps,
		 struct reason *reason);
bool stack_attached(const char *interface, uint32_t ifindex);
/* Filter, pins, and the qdisc if stack_attach() made it and nobody else uses it by now. */
void stack_detach(const char *interface, uint32_t ifindex);

#endif
