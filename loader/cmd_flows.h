/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader show flows: of one attached tier, as a table and as JSON.
 */
#ifndef SHUNT_CMD_FLOWS_H
#define SHUNT_CMD_FLOWS_H

#include "flow_names.h"

/* all: not only as many as a screen or two have room for. NULL with a reason. New reference. */
json_t *flows_show(const struct view *view, const struct flow_wish *wish, bool all,
		   struct reason *reason);

#endif
