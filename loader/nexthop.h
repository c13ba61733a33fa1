/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way to a server: egress interface and next-hop MAC address from the kernel's routes and
 * neighbours, by netlink. Asks the kernel to resolve what it does not know; changes nothing else.
 */
#ifndef SHUNT_NEXTHOP_H
#define SHUNT_NEXTHOP_H

#include "plan.h"
#include "reason.h"

/*
 * The ways to all servers of the config as seen from interface ifindex (an egress equal to it
 * becomes 0: transmit). Waits up to timeout_ms for neighbours that are being resolved. *hops: one a
 * server in the order of plan_server(), free() it. 0 even if some are unresolved (hop.problem says
 * why), -errno with reason if netlink itself fails.
 */
int nexthop_resolve(const struct config *config, uint32_t ifindex, int timeout_ms,
		    struct plan_hop **hops, struct reason *reason);

/* A watch on what can change a way: links, addresses, routes, neighbours. */
struct nexthop_watch;
int nexthop_watch_open(struct nexthop_watch **watch, struct reason *reason);
int nexthop_watch_fd(const struct nexthop_watch *watch);
/*
 * From now on only what is on the ways to these servers counts as a change; before the first call
 * everything does. Call it after each apply.
 */
int nexthop_watch_follow(struct nexthop_watch *watch, const struct config *config,
			 struct reason *reason);
/*
 * Has the kernel check the next hops that are followed. Packets that XDP sends do not tell it that
 * they are in use, so without this it would not notice that one has gone or has a new address.
 */
void nexthop_watch_refresh(struct nexthop_watch *watch);
/* Reads what is there (non-blocking). Returns 1 if a way may have changed, 0 if not, -errno. */
int nexthop_watch_read(struct nexthop_watch *watch);
void nexthop_watch_close(struct nexthop_watch *watch);

#endif
