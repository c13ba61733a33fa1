/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long ago the data path's time stamps were. They are jiffies: the only clock a program reads for
 * nothing, and one that user space is not told.
 */
#ifndef SHUNT_CLOCK_H
#define SHUNT_CLOCK_H

#include <stdint.h>

/* Jiffies now, as a program sees them: 0, or -errno. */
int clock_jiffies(uint64_t *now);
/* How many of them make so many seconds, at least 1. */
uint64_t clock_ticks(uint32_t seconds);
/* Seconds from one to the other; 0 if `then` lies ahead. */
double clock_seconds(uint64_t then, uint64_t now);

#endif
