/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Deadlines of many connections, the nearest first. */
#ifndef HWTESTS_QUIC_TIMER_H
#define HWTESTS_QUIC_TIMER_H

#include <stddef.h>
#include <stdint.h>

struct timer {
	uint64_t at; /* nanoseconds, as now_ns() */
	size_t slot; /* 1 and up; 0: not set */
	void *owner;
};

struct timer_heap {
	struct timer **slot; /* slot[0] is unused, so that a zeroed timer is one not set */
	size_t used;
	size_t room;
};

/* Set or move a deadline; -1 without memory. */
int timer_set(struct timer_heap *heap, struct timer *timer, uint64_t at);
void timer_clear(struct timer_heap *heap, struct timer *timer);
struct timer *timer_first(const struct timer_heap *heap);
void timer_heap_free(struct timer_heap *heap);

#endif
