/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a stretch of an ARRAY map at once, or entry by entry where that cannot be (a card's map).
 */
#ifndef SHUNT_BATCH_H
#define SHUNT_BATCH_H

#include <stdint.h>

/* Entries first to first + n - 1 of `size` octets each. 0 or -errno. */
int batch_read(int map, uint32_t first, uint32_t n, uint32_t size, void *values);

#endif
