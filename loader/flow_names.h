/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows by the names of their VIP and server, and those that somebody means. Prints nothing.
 */
#ifndef SHUNT_FLOW_NAMES_H
#define SHUNT_FLOW_NAMES_H

#include "flow_table.h"
#include "view.h"

/* What is meant, as it was written; NULL: any. */
struct flow_wish {
	const char *server; /* NAME, or POOL/NAME */
	const char *vip;
	const char *client; /* address */
};

struct flow_names {
	const struct view *view;
	const struct flow_wish *wish;
	struct config_address client;
};

/* -EINVAL with a reason: the wish names nothing there is. */
int flow_names_init(struct flow_names *names, const struct view *view, const struct flow_wish *wish,
		    struct reason *reason);
bool flow_names_means(const struct flow_names *names, const struct lb_flow_key *key,
		      const struct lb_flow *flow);
/* "?" where the number has no name any more. */
const char *flow_names_vip(const struct flow_names *names, const struct lb_flow_key *key);
const struct config_server *flow_names_server(const struct flow_names *names,
					      const struct lb_flow *flow, const char **pool);
/* "192.0.2.7:5000", "[2001:db8::7]:5000", or "cid e0f1…"; text: FLOW_CLIENT_TEXT octets. */
#define FLOW_CLIENT_TEXT 64
const char *flow_names_client(const struct lb_flow_key *key, char *text);
const char *flow_names_kind(const struct lb_flow_key *key);

#endif
