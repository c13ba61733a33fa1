/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A configuration as octets, and back. Of keys there is the fingerprint alone, so what was read back has none.
 */
#ifndef SHUNT_CONFIG_PACK_H
#define SHUNT_CONFIG_PACK_H

#include "config.h"
#include "pack.h"

/* Appends it. 0 or -ENOMEM. */
int config_pack(const struct config *config, struct pack *pack);
/* Reads on from where pack is. 0 and *config (config_free() it), -EINVAL, -ENOMEM. */
int config_unpack(struct pack *pack, struct config **config);

#endif
