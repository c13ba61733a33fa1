/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the things of one configuration are in another: pools, servers and VIPs by their names. Pure.
 */
#ifndef SHUNT_CONFIG_MATCH_H
#define SHUNT_CONFIG_MATCH_H

#include "config.h"

#define CONFIG_NOWHERE UINT32_MAX

/* By position, servers counted over all pools in order; CONFIG_NOWHERE: it is not there. */
struct config_match {
	uint32_t *servers, *vips, *pools;
};

/* other NULL: nothing is anywhere. 0 or -ENOMEM; config_match_free() it in either case. */
int config_match(const struct config *config, const struct config *other,
		 struct config_match *match);
void config_match_free(struct config_match *match);

#endif
