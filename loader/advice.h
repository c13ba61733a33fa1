/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What would have to change for a tier to be had here: the line to type, with this interface's names
 * and numbers. Reads the interface, changes nothing.
 */
#ifndef SHUNT_ADVICE_H
#define SHUNT_ADVICE_H

#include "nic.h"
#include "reason.h"
#include "tier.h"

/* XDP keeps a frame in one page: what is left of it after the headroom and skb_shared_info. */
#define ADVICE_MTU_MAX (4096 - 256 - 320 - 14)

/* Puts the hint of a refusal in terms of the interface; leaves those it knows nothing about. */
void advise(const struct nic *nic, enum tier tier, struct reason *reason);

#endif
