/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tiers as a table, best first: names, the program, the attach mode. Pure.
 */
#ifndef SHUNT_TIER_H
#define SHUNT_TIER_H

#include <linux/types.h>
#include <stddef.h>

/* The first three are XDP's; the last one is served by loader run, and has the object's maps alone. */
enum tier {
	TIER_OFFLOAD,
	TIER_DRIVER,
	TIER_GENERIC,
	TIER_USERSPACE,
	TIER_COUNT,
	TIER_NONE = TIER_COUNT
};

struct tier_info {
	const char *name; /* "offload", "driver", "generic", "userspace" */
	const char *program; /* name in the BPF object */
	__u32 xdp_flags; /* XDP_FLAGS_HW_MODE, _DRV_MODE, _SKB_MODE; 0: no XDP */
	const unsigned char *object; /* the ELF file, embedded */
	size_t object_size;
};

extern const struct tier_info *const tiers; /* TIER_COUNT of them */

/* Also takes hw; native, drv; skb. TIER_NONE if it is none of them. */
enum tier tier_by_name(const char *name);

#endif
