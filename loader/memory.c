/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Grows and trims the heap of the C library. See memory.h.
 */
#include "memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE (2u << 20)
#define WORTH_IT   (2u * LARGE_PAGE)

void memory_expect(size_t octets)
{
	char *block;
	uintptr_t from, until;

	if (octets < WORTH_IT)
		return;
	/* From the heap's end, not as mappings of their own, and free() leaves the heap as large. */
	mallopt(M_MMAP_THRESHOLD, INT32_MAX);
	mallopt(M_TRIM_THRESHOLD, INT32_MAX);
	block = malloc(octets);
	if (!block)
		return;
	from = ((uintptr_t)block + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);
	until = ((uintptr_t)block + octets) & ~(uintptr_t)(LARGE_PAGE - 1);
	madvise((void *)from, until - from, MADV_HUGEPAGE);
	free(block);
}

void memory_release(void)
{
	malloc_trim(0);
}
