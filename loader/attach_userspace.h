/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tier userspace on an interface: maps and the TC programs, no XDP. Below a host tier it has that one's
 * maps, but for the counters; by itself it has maps of its own. Serves no packet: that is balancer.h's work.
 */
#ifndef SHUNT_ATTACH_USERSPACE_H
#define SHUNT_ATTACH_USERSPACE_H

#include "site.h"

/* As attach_tier(), with the lock held. */
int userspace_attach(const struct site *site, const struct attach_options *options,
		     int (*before_attach)(struct attachment *attachment, void *context,
					  struct reason *reason),
		     void *context, struct attachment *attachment, enum attach_outcome *outcome,
		     struct reason *reason);
/* It must be there. Leaves the TC programs to a host tier, if there is one. */
void userspace_detach(const struct site *site);

#endif
