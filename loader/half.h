/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One table of a plan and the half of a map that it belongs in.
 */
#ifndef SHUNT_HALF_H
#define SHUNT_HALF_H

#include <stdbool.h>

#include "array.h"

/* `n` values of `size` octets, at index half * stride of the map. */
struct half_image {
	const char *name;
	int fd;
	const void *values;
	uint32_t n, size, stride;
};

/* What the half holds. 0 or -errno; array_close() it after success. */
int half_open(const struct half_image *image, uint32_t half, struct array *held);
/* Makes the half equal to the image; touches only what differs. 0 or -errno. */
int half_write(const struct half_image *image, uint32_t half);
/* Whether it holds exactly this image. */
bool half_same(const struct half_image *image, uint32_t half);

#endif
