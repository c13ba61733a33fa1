/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The user-space balancer of the service: takes the packets that the TC programs of its interfaces hand over,
 * and sends them to their servers. Knows no packets: that is relay.h's work.
 */
#ifndef SHUNT_BALANCER_H
#define SHUNT_BALANCER_H

#include "config.h"
#include "reason.h"

struct balancer;

int balancer_open(struct balancer **balancer, struct reason *reason);
void balancer_free(struct balancer *balancer);
/* Finds out which interfaces of the file have the tier now. Those that still have go on. */
void balancer_look(struct balancer *balancer, const struct config *config);
/* Readable while there is work. */
int balancer_fd(const struct balancer *balancer);
/* A bounded piece of it. */
void balancer_work(struct balancer *balancer);

#endif
