/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A configuration into one attached tier: read what runs, find the ways to the servers, plan, sync.
 * The one place that attach, apply and run share.
 */
#ifndef SHUNT_APPLY_H
#define SHUNT_APPLY_H

#include "attach.h"
#include "config.h"
#include "wayback.h"

struct apply_result {
	bool changed; /* something was written (or would be, with dry_run) */
	uint32_t generation; /* that packets use now */
	uint32_t n_servers, n_unresolved;
	json_t *changes; /* config_diff() between what ran and the file; NULL: nobody asked for it */
	json_t *unresolved; /* [{"server":…, "pool":…, "address":…, "problem":…}] */
	char shut[WAYBACK_SWITCH]; /* the switch that answers of nat servers need, "": none is off */
};

struct apply_request {
	int timeout_ms; /* how long to wait for neighbours */
	bool dry_run; /* write nothing */
	bool list_changes;
	bool force; /* even if a CID config goes that packets still use; see rotation.h */
	uint32_t only_over; /* nothing is done over another generation than this; 0: over any */
};

/*
 * On failure what runs stays as it was. apply_result_free() the result in either case; it must be
 * zeroed before.
 */
int apply_config(const struct attachment *attachment, const struct config *config,
		 const struct apply_request *request, struct apply_result *result,
		 struct reason *reason);
void apply_result_free(struct apply_result *result);

#endif
