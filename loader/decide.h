/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which server an encrypted connection ID names, worked out in user space: the data path's own steps over
 * a plan's tables. Pure: no kernel, no maps. Not reentrant.
 */
#ifndef SHUNT_DECIDE_H
#define SHUNT_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"

/*
 * conn_map's entry for an encrypted connection ID under a plan. index: LB_CID_INDEX() of its config.
 * cid: LB_CID_MAX octets from the CID's first one on. False if the plan knows no such config, the config
 * is clear, or the CID names no server.
 */
bool decide_known(const struct plan *plan, uint32_t index, const uint8_t *cid,
		  struct lb_conn_key *key, uint32_t *server);
/* The same for the connection ID of a frame; false also if the frame has none for a VIP. */
bool decide_known_frame(const struct plan *plan, const uint8_t *frame, size_t length,
			struct lb_conn_key *key, uint32_t *server);

#endif
