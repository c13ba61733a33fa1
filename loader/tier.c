/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tiers, best first, and the names people call them by.
 */
#include <linux/if_link.h>
#include <string.h>

#include "lb/abi.h"
#include "objects.h"
#include "tier.h"

static struct tier_info table[TIER_COUNT] = {
	[TIER_OFFLOAD] = { .name = "offload",
			   .program = LB_PROG_OFFLOAD,
			   .xdp_flags = XDP_FLAGS_HW_MODE,
			   .object = object_offload },
	[TIER_DRIVER] = { .name = "driver",
			  .program = LB_PROG_DRIVER,
			  .xdp_flags = XDP_FLAGS_DRV_MODE,
			  .object = object_driver },
	[TIER_GENERIC] = { .name = "generic",
			   .program = LB_PROG_GENERIC,
			   .xdp_flags = XDP_FLAGS_SKB_MODE,
			   .object = object_generic },
	/* Nobody loads the program here. */
	[TIER_USERSPACE] = { .name = "userspace",
			     .program = LB_PROG_GENERIC,
			     .object = object_generic },
};

const struct tier_info *const tiers = table;

/* C does not take the difference of two symbols as a constant; everybody else sees a constant. */
__attribute__((constructor)) static void fill_sizes(void)
{
	table[TIER_OFFLOAD].object_size = OBJECT_SIZE(offload);
	table[TIER_DRIVER].object_size = OBJECT_SIZE(driver);
	table[TIER_GENERIC].object_size = OBJECT_SIZE(generic);
	table[TIER_USERSPACE].object_size = OBJECT_SIZE(generic);
}

enum tier tier_by_name(const char *name)
{
	static const struct {
		const char *name;
		enum tier tier;
	} aliases[] = {
		{ "hw", TIER_OFFLOAD },
		{ "native", TIER_DRIVER },
		{ "drv", TIER_DRIVER },
		{ "skb", TIER_GENERIC },
	};

	for (enum tier tier = 0; tier < TIER_COUNT; tier++)
		if (!strcmp(name, table[tier].name))
			return tier;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (!strcmp(name, aliases[i].name))
			return aliases[i].tier;
	return TIER_NONE;
}
