/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way of a frame through user space: fragments, decision, size, rewriting. What it comes to is sent and
 * counted by whoever uses it. Pure: no clock, no kernel.
 */
#ifndef SHUNT_RELAY_H
#define SHUNT_RELAY_H

#include "forward.h"

/* What became of a frame. Each frame ends with exactly one. */
struct relay_count {
	enum lb_reason reason;
	uint32_t vip, server, pool, config_id; /* server 0: it was not forwarded */
	size_t octets; /* of the frame, as it came in */
};

struct relay_sink {
	void *context;
	/* The frame goes to its server; out->server NULL: it is an answer, to whom it came from. 0 or -errno. */
	int (*send)(void *context, const struct forwarded *out);
	void (*count)(void *context, const struct relay_count *count);
};

struct relay;

struct relay *relay_new(const struct relay_sink *sink); /* NULL: no memory */
void relay_free(struct relay *relay);

/*
 * One frame as the kernel has it. tables: of now; answers: ICMP answers that may be sent in a second; now: ms, never
 * less than before. gso_size, vlan: as struct lb_handed has them.
 */
void relay_frame(struct relay *relay, const struct decide_tables *tables, uint32_t answers,
		 const uint8_t *frame, size_t length, uint32_t gso_size, uint32_t vlan,
		 int64_t now);
/* What has waited too long is dropped. ms until the next call is due, -1: nothing waits. */
int64_t relay_expire(struct relay *relay, int64_t now);

#endif
