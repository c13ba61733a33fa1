/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The service: keeps what the file says attached and applied while routes, neighbours, interfaces
 * and the file itself change. Decides nothing about packets.
 */
#ifndef SHUNT_RUN_H
#define SHUNT_RUN_H

#include "config.h"
#include "reason.h"

struct run_request {
	const char *path; /* of the file, for reloads */
	struct config *config; /* taken over */
	int wait_ms; /* at the start, for interfaces that are not there yet */
};

/* Runs until SIGTERM or SIGINT. 0, or -errno if it could not start. */
int run_service(const struct run_request *request, struct reason *reason);

#endif
