/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A card as a place for programs and maps: whether it has an engine, the maps of an object made on
 * it in the sizes it takes, and its driver's words for a refusal.
 */
#ifndef SHUNT_DEVICE_H
#define SHUNT_DEVICE_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "object.h"
#include "reason.h"

/* Whether it is there no more, which the errno of a call about it need not tell. */
bool device_gone(uint32_t ifindex);
/* Whether the device has an engine for offloaded programs at all: 0, or why not. */
int device_try(const char *interface, uint32_t ifindex, struct reason *reason);

/*
 * Makes every map of an opened object on request->ifindex: with the object's max_entries, or as much
 * of them as the device takes and no less than request->floor needs.
 */
int device_make_maps(const struct object_request *request, struct bpf_object *object,
		     struct reason *reason);

/* Adds the line of the kernel's log that tells why, or how to get to see it (reader < 0: forbidden). */
void device_quote_log(int reader, const char *driver, struct reason *reason);

#endif
