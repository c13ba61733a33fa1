/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts packets on their way from user space: IP packets by raw sockets, so that the kernel finds route and
 * neighbour; whole frames by a packet socket. Changes nothing in them.
 */
#ifndef SHUNT_SEND_H
#define SHUNT_SEND_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"

struct sender {
	int ipv4, ipv6, link; /* sockets */
};

/* 0 or -errno. */
int send_open(struct sender *sender);
void send_close(struct sender *sender);

/* Of either family, with all its headers. 0 or -errno; never waits. */
int send_packet(const struct sender *sender, const uint8_t *packet, size_t length);
int send_frame(const struct sender *sender, uint32_t ifindex, const uint8_t *frame, size_t length);

/* What the kernel would send from, and how long a packet may be on the way: 0 or -errno. */
int send_route(const struct config_address *to, struct config_address *source, uint32_t *mtu);

#endif
