/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps the stretch's pages, or reads it in a batch. See array.h.
 */
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "batch.h"

/* The kernel keeps values of an ARRAY at multiples of eight octets. Only maps that were made for it are mapped. */
static int map_pages(int map, uint32_t first, uint32_t n, uint32_t size, struct array *array)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), stride = (size + 7) & ~(size_t)7;
	size_t from = first * stride, until = from + n * stride;
	size_t offset = from & ~(page - 1), length = (until - offset + page - 1) & ~(page - 1);
	char *pages = mmap(NULL, length, PROT_READ, MAP_SHARED, map, (off_t)offset);

	if (pages == MAP_FAILED)
		return -errno;
	*array = (struct array){
		.values = pages + (from - offset),
		.stride = stride,
		.mapped = pages,
		.length = length,
	};
	return 0;
}

int array_open(int map, uint32_t first, uint32_t n, uint32_t size, struct array *array)
{
	char *copy;
	int err;

	if (n && !map_pages(map, first, n, size, array))
		return 0;
	copy = calloc(n + 1, size);
	if (!copy)
		return -ENOMEM;
	*array = (struct array){
		.values = copy,
		.stride = size,
		.copy = copy,
		.length = (size_t)n * size,
	};
	err = batch_read(map, first, n, size, copy);
	if (err)
		array_close(array);
	return err;
}

void array_close(struct array *array)
{
	if (array->mapped)
		munmap(array->mapped, array->length);
	if (array->copy)
		explicit_bzero(array->copy, array->length);
	free(array->copy);
	*array = (struct array){};
}
