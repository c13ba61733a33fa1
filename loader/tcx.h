/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A TC program at one end of an interface by a TCX link (Linux 6.6), which its pin keeps there. Touches
 * no program of anybody else, and no qdisc: ours is the last of the list, before clsact's filters.
 */
#ifndef SHUNT_TCX_H
#define SHUNT_TCX_H

#include <stdint.h>

#include "lb/abi.h"
#include "pins.h"

/* The program that the pinned link runs there: its id, or 0. */
uint32_t tcx_program(const struct pin_path *pin, uint32_t ifindex, enum lb_direction direction);
/* In the place of that program, or at the end. 0, -EOPNOTSUPP: this kernel has no TCX, or -errno. */
int tcx_put(const struct pin_path *pin, uint32_t ifindex, enum lb_direction direction, int fd);
/* At once: without it the kernel takes a link off when it comes to it. */
void tcx_remove(const struct pin_path *pin);

#endif
