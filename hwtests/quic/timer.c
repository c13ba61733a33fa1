/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A binary heap of deadlines. */
#include "timer.h"

#include <stdlib.h>

static void put(struct timer_heap *heap, size_t i, struct timer *timer)
{
	heap->slot[i] = timer;
	timer->slot = i;
}

static void settle(struct timer_heap *heap, size_t i, struct timer *timer)
{
	while (i > 1 && heap->slot[i / 2]->at > timer->at) {
		put(heap, i, heap->slot[i / 2]);
		i /= 2;
	}
	for (;;) {
		size_t child = 2 * i;

		if (child > heap->used)
			break;
		if (child < heap->used && heap->slot[child + 1]->at < heap->slot[child]->at)
			child++;
		if (heap->slot[child]->at >= timer->at)
			break;
		put(heap, i, heap->slot[child]);
		i = child;
	}
	put(heap, i, timer);
}

int timer_set(struct timer_heap *heap, struct timer *timer, uint64_t at)
{
	timer->at = at;
	if (!timer->slot) {
		if (heap->used + 1 >= heap->room) {
			size_t room = heap->room ? 2 * heap->room : 64;
			struct timer **slot = realloc(heap->slot, room * sizeof(struct timer *));

			if (!slot)
				return -1;
			heap->slot = slot;
			heap->room = room;
		}
		put(heap, ++heap->used, timer);
	}
	settle(heap, timer->slot, timer);
	return 0;
}

void timer_clear(struct timer_heap *heap, struct timer *timer)
{
	size_t i = timer->slot;
	struct timer *last;

	if (!i)
		return;
	timer->slot = 0;
	last = heap->slot[heap->used--];
	if (last != timer)
		settle(heap, i, last);
}

struct timer *timer_first(const struct timer_heap *heap)
{
	return heap->used ? heap->slot[1] : NULL;
}

void timer_heap_free(struct timer_heap *heap)
{
	free(heap->slot);
}
