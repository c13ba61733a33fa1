/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sharing an interface's host hook with others by libxdp's dispatcher, where the kernel can.
 */
#ifndef SHUNT_DISPATCHER_H
#define SHUNT_DISPATCHER_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "reason.h"
#include "tier.h"

/* Whether the program in the slot, by its id, is a dispatcher. */
bool dispatcher_is(uint32_t id);
/* Whether the interface's dispatcher runs the program of this id. */
bool dispatcher_holds(uint32_t ifindex, uint32_t id);

/*
 * Takes out of the interface's dispatcher what has the tier's name and is not `ours` (0: none): left by
 * a loader that was killed before it could pin it. How many.
 */
int dispatcher_drop_strays(uint32_t ifindex, enum tier tier, uint32_t ours);

/*
 * object: opened, not loaded, with maps that are filled. *program_fd is the caller's to close.
 * *shared false: the kernel has no freplace for us, and the program is attached by itself.
 */
int dispatcher_attach(const char *interface, uint32_t ifindex, enum tier tier,
		      struct bpf_object *object, int *program_fd, bool *shared,
		      struct reason *reason);
/* pin: path of the program's pin. */
int dispatcher_detach(const char *interface, uint32_t ifindex, enum tier tier, const char *pin,
		      struct reason *reason);

#endif
