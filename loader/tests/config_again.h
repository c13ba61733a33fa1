/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For tests: a configuration as it comes back after it was kept.
 */
#ifndef TESTS_CONFIG_AGAIN_H
#define TESTS_CONFIG_AGAIN_H

#include "config_pack.h"

static inline struct config *config_again(const struct config *config)
{
	struct config *again = NULL;
	struct pack pack = {};

	assert_int_equal(config_pack(config, &pack), 0);
	pack.reads = true;
	assert_int_equal(config_unpack(&pack, &again), 0);
	assert_int_equal(pack.at, pack.n);
	pack_free(&pack);
	return again;
}

#endif
