/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keeps cards told: of the encrypted CIDs that are hot in the host tier below, and the host tier of the
 * configs that a card above routes by. For each interface that has both tiers. Knows no events.
 */
#ifndef SHUNT_KNOWN_H
#define SHUNT_KNOWN_H

#include "config.h"

/*
 * The host tier leaves a sample a jiffy in LB_CID_SAMPLES places: at 1,000 a second they are written
 * over after a second.
 */
#define KNOWN_TICK_MS 500

struct known;

struct known *known_new(void); /* NULL: no memory */
void known_free(struct known *known);
/* Finds out which interfaces of the file have both tiers now. Those that still have go on. */
void known_look(struct known *known, const struct config *config);
/* There is something to do every KNOWN_TICK_MS. */
bool known_is_busy(const struct known *known);
/* False: one of them has lost a tier, so known_look() is due. */
bool known_tick(struct known *known);

#endif
