/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The decapsulator on a server host: attaching it, telling it whom to believe, reading its counters.
 * Knows nothing of the balancer's tiers but that they must not be displaced.
 */
#ifndef SHUNT_DECAP_H
#define SHUNT_DECAP_H

#include "config.h"
#include "lb/counters.h"
#include "reason.h"
#include "tier.h"

struct decap_request {
	const char *interface;
	enum tier tier; /* TIER_NONE: the driver tier, or else the generic one */
	bool replace; /* take a foreign program's place */
	const struct config_address *peers; /* the balancers: outer sources that are believed */
	size_t n_peers;
	uint16_t gue_port; /* where GUE is taken off; 0: nowhere */
};

struct decap_result {
	enum tier tier;
	bool adopted; /* it was there; only what it believes has changed */
	struct reason refused; /* why not the driver tier; REASON_NONE if nothing was refused */
};

/*
 * Attaches, or brings what is attached up to date without a packet missing it. On failure the
 * interface is as it was found; result->refused is filled then, too.
 */
int decap_attach(const struct decap_request *request, struct decap_result *result,
		 struct reason *reason);
/* -ENOENT: it is not attached here. */
int decap_detach(const char *interface, struct reason *reason);

struct decap_status {
	char interface[16];
	enum tier tier;
	uint32_t program_id;
	size_t n_peers;
	struct config_address *peers;
	uint16_t gue_port;
	struct lb_count counts[LB_DECAP_COUNT];
};

/* Where it is attached (interface NULL: anywhere). decap_list_free() the list. */
int decap_list(const char *interface, struct decap_status **list, size_t *n, struct reason *reason);
void decap_list_free(struct decap_status *list, size_t n);

#endif
