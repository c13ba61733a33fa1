/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A frame on its way to its server, as it leaves: the data path's own rewriting, in memory. Pure: sends
 * nothing.
 */
#ifndef SHUNT_FORWARD_H
#define SHUNT_FORWARD_H

#include "decide.h"
#include "lb/counters.h"

/* Octets that must be writable in front of a frame. */
#define FORWARD_HEADROOM 64

struct forwarded {
	uint8_t *frame;
	size_t length;
	uint32_t link_length; /* the IP packet lies behind */
	const struct lb_server *server;
};

/*
 * Rewrites in place. Fails with the reason why it cannot be sent, the frame then untouched; true: *out is
 * what leaves. A server without a way of XDP's own has an entry all the same, without MAC addresses.
 */
bool forward_frame(const struct decide_tables *tables, const struct decision *decision,
		   uint8_t *frame, size_t length, struct forwarded *out, enum lb_reason *reason);

#endif
