/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs single frames through the real program of a tier on private maps and tells what it decided; through
 * relay.h where the tier has no program.
 * Nothing is attached; the tables persist from frame to frame.
 */
#ifndef SHUNT_TRACE_H
#define SHUNT_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "lb/counters.h"
#include "reason.h"
#include "tier.h"

#define TRACE_FRAME_MIN 14 /* the kernel's test run wants an Ethernet header */
#define TRACE_FRAME_MAX 3400 /* and a frame that fits a page with its headroom */

struct trace;

struct trace_outcome {
	uint32_t verdict; /* enum xdp_action */
	enum lb_reason reason;
	int config_id; /* -1: none decided */
	const struct config_vip *vip; /* NULL: none */
	const struct config_server *server; /* NULL: none */
	const struct config_pool *pool; /* of the server */
	const uint8_t *frame; /* as the program left it; valid until the next run */
	size_t length;
};

/*
 * ifindex: interface to resolve next hops for, or 0: every server then counts as reachable where
 * packets come in, behind made-up MAC addresses (02:00:00:00:HH:LL, the server's number).
 */
int trace_open(enum tier tier, const struct config *config, uint32_t ifindex, struct trace **trace,
	       struct reason *reason);
/*
 * Tells a card's maps what the frame's encrypted connection ID stands for, as the service does with busy
 * ones. A frame without one that names a server changes nothing. -errno, -EOPNOTSUPP on a host tier.
 */
int trace_know(struct trace *trace, const uint8_t *frame, size_t length, struct reason *reason);
/* 0, or -errno with reason: -EMSGSIZE for a length that the kernel's test run does not take. */
int trace_run(struct trace *trace, const uint8_t *frame, size_t length,
	      struct trace_outcome *outcome, struct reason *reason);
void trace_close(struct trace *trace);

const char *trace_verdict_name(uint32_t verdict);

#endif
