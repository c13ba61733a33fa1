/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether this host passes on what its nat servers answer: XDP and TC change an answer's source, but only
 * on a way that the kernel's routing takes. Reads sysctls, changes nothing.
 */
#ifndef SHUNT_WAYBACK_H
#define SHUNT_WAYBACK_H

#include "plan.h"

#define WAYBACK_SWITCH 80
#define WAYBACK_TEXT   "%s is off, so answers of nat servers do not come through"
#define WAYBACK_HINT   "sysctl -w %s=1"

/*
 * The first switch that is off and that answers need: "net/ipv4/conf/eth1/forwarding"; "" if none is. hops: as
 * nexthop_resolve() found them from interface ifindex; answers are taken to come in where packets go out.
 */
void wayback_check(const struct config *config, const struct plan_hop *hops, uint32_t ifindex,
		   char name[WAYBACK_SWITCH]);

#endif
