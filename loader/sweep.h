/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keeps conn_track of the service's interfaces below its size: throws out flows that are over, some at a time,
 * and tells the data path how many more there is room for. Attaches and applies nothing.
 */
#ifndef SHUNT_SWEEP_H
#define SHUNT_SWEEP_H

#include "config.h"
#include "reason.h"

struct sweep;

int sweep_open(struct sweep **sweep, struct reason *reason);
void sweep_free(struct sweep *sweep);
/* What is attached to these interfaces now. */
void sweep_look(struct sweep *sweep, const struct config *config);
/* Readable when there is something to do: sweep_work(). */
int sweep_fd(const struct sweep *sweep);
void sweep_work(struct sweep *sweep);

#endif
