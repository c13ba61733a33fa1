/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory for large files: taken in large pages, and given back.
 */
#ifndef SHUNT_MEMORY_H
#define SHUNT_MEMORY_H

#include <stddef.h>

/*
 * About so much is going to be allocated: the heap grows by that at once, in large pages where there are
 * such, for the kernel's work on small ones takes longer than ours on what is in them. Little: nothing.
 */
void memory_expect(size_t octets);
/* What was freed since goes back to the kernel. */
void memory_release(void);

#endif
