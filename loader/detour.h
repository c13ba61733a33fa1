/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Servers that XDP has no way to, because a route leads through a bridge, a VLAN or a tunnel, or a neighbour is
 * not known yet: entries for them, since packets from user space go by the kernel's own routes. Sends nothing.
 */
#ifndef SHUNT_DETOUR_H
#define SHUNT_DETOUR_H

#include "tables.h"

/* Fills the entries that are unset. A server of mode l2dsr has none but by its MAC address. 0 or -errno. */
int detour_fill(const struct map_set *set, struct tables *tables);

#endif
