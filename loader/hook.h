/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An interface's XDP hook by netlink: which program is in which slot, putting one there, taking one
 * off. Knows no pins and no maps.
 */
#ifndef SHUNT_HOOK_H
#define SHUNT_HOOK_H

#include <stdint.h>

#include "reason.h"
#include "tier.h"

struct hook {
	uint32_t id[TIER_COUNT]; /* program in each slot, 0: none */
};

struct hook_program {
	uint32_t id;
	char tag[17];
	char name[16];
	uint64_t loaded; /* ns since boot */
};

int hook_query(const char *interface, uint32_t ifindex, struct hook *hook, struct reason *reason);

/*
 * expected_fd: the program that must be there now and whose place is taken, with no packet missed; -1:
 * the slot must be free. fd -1: detach.
 */
int hook_set(const char *interface, uint32_t ifindex, enum tier tier, int fd, int expected_fd,
	     struct reason *reason);

int hook_program(int fd, struct hook_program *program);
/* By id; needs CAP_SYS_ADMIN. fd, or -errno. */
int hook_program_by_id(uint32_t id, struct hook_program *program);

#endif
