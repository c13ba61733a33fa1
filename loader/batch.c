/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One system call for many entries of a map.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "batch.h"

static int read_singly(int map, uint32_t first, uint32_t n, uint32_t size, char *values)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = first + i;

		if (bpf_map_lookup_elem(map, &key, values + (size_t)i * size))
			return -errno;
	}
	return 0;
}

int batch_read(int map, uint32_t first, uint32_t n, uint32_t size, void *values)
{
	uint32_t before = first - 1, next, got = n;
	uint32_t *keys = calloc(n + 1, sizeof(*keys));
	int error;

	if (!keys)
		return -ENOMEM;
	/* A batch begins behind the key it is given. ENOENT is the end of the map. */
	error = n ? bpf_map_lookup_batch(map, first ? &before : NULL, &next, keys, values, &got,
					 NULL) :
		    0;
	free(keys);
	if ((error && errno != ENOENT) || got < n)
		return read_singly(map, first, n, size, values);
	return 0;
}
