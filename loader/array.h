/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A stretch of an ARRAY map to be looked at: the map's own memory where it can be mapped, else a copy.
 */
#ifndef SHUNT_ARRAY_H
#define SHUNT_ARRAY_H

#include <stddef.h>
#include <stdint.h>

struct array {
	const char *values;
	size_t stride; /* from one value to the next */
	void *mapped, *copy; /* what is to be given back; one is NULL */
	size_t length; /* of either */
};

/* Entries first to first + n - 1 of `size` octets each. 0 or -errno; array_close() it after success. */
int array_open(int map, uint32_t first, uint32_t n, uint32_t size, struct array *array);
/* A copy is wiped: it may be keys. */
void array_close(struct array *array);

static inline const char *array_at(const struct array *array, uint32_t i)
{
	return array->values + i * array->stride;
}

#endif
