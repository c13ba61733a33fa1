/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A TC program at one end of an interface by a filter of the clsact qdisc, for kernels without TCX.
 * Touches no filter and no qdisc of anybody else.
 */
#ifndef SHUNT_CLSACT_H
#define SHUNT_CLSACT_H

#include <stdbool.h>
#include <stdint.h>

#include "lb/abi.h"
#include "pins.h"

/* Where one of our filters is, and how it is known. */
struct clsact_filter {
	uint32_t ifindex;
	enum lb_direction direction;
	const char *name; /* of its program */
	uint32_t pinned; /* id of the program that is pinned, 0: none */
};

/* The program of our filter: its id, or 0. */
uint32_t clsact_program(const struct clsact_filter *filter);
/*
 * Ours at its place if it is there, else at the first priority that takes it. 0, -EOPNOTSUPP: the qdisc that
 * is there has no egress, or -errno.
 */
int clsact_put(const struct clsact_filter *filter, int fd);
void clsact_remove(const struct clsact_filter *filter);

/*
 * Makes the qdisc; *made: it was not there. The mark in the folder comes first, so that it is known whose
 * qdisc it is also after a kill between the two. 0 or -errno.
 */
int clsact_make_qdisc(uint32_t ifindex, const struct pin_path *folder, bool *made,
		      struct reason *reason);
/* If we made it, and nobody uses it by now. */
void clsact_remove_qdisc(uint32_t ifindex, const struct pin_path *folder);

#endif
