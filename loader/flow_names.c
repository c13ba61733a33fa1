/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers in conn_track to names of the running file. See flow_names.h.
 */
#include "flow_names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KIND(key)    ((key)->of >> 24)
#define VERSION(key) ((key)->of >> 16 & 0xff)
#define VIP(key)     ((key)->of & 0xffff)

const struct config_server *flow_names_server(const struct flow_names *names,
					      const struct lb_flow *flow, const char **pool)
{
	const struct view *view = names->view;
	uint32_t of = 0;

	for (uint32_t i = 0; i < view->n_servers; i++)
		if (view->number[i] == flow->server) {
			const struct config_server *server = plan_server(view->config, i, &of);

			*pool = view->config->pools[of].name;
			return server;
		}
	return NULL;
}

const char *flow_names_vip(const struct flow_names *names, const struct lb_flow_key *key)
{
	const struct view *view = names->view;

	for (uint32_t i = 0; i < view->config->n_vips; i++)
		if (view->numbers->vips[i] == VIP(key))
			return view->config->vips[i].name;
	return "?";
}

/* NAME or POOL/NAME. */
static bool is_called(const char *wanted, const char *pool, const char *name)
{
	char both[2 * CONFIG_NAME_MAX + 2];

	snprintf(both, sizeof(both), "%s/%s", pool, name);
	return !strcmp(wanted, name) || !strcmp(wanted, both);
}

static bool knows_server(const struct view *view, const char *wanted)
{
	uint32_t pool = 0;

	for (uint32_t i = 0; i < view->n_servers; i++) {
		const struct config_server *server = plan_server(view->config, i, &pool);

		if (is_called(wanted, view->config->pools[pool].name, server->name))
			return true;
	}
	return false;
}

static bool knows_vip(const struct view *view, const char *wanted)
{
	for (uint32_t i = 0; i < view->config->n_vips; i++)
		if (!strcmp(wanted, view->config->vips[i].name))
			return true;
	return false;
}

static bool read_address(const char *text, struct config_address *address)
{
	int families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < 2; i++) {
		memset(address, 0, sizeof(*address));
		address->family = families[i];
		if (inet_pton(families[i], text, address->octets) == 1)
			return true;
	}
	return false;
}

int flow_names_init(struct flow_names *names, const struct view *view, const struct flow_wish *wish,
		    struct reason *reason)
{
	const char *wrong = NULL;

	*names = (struct flow_names){ .view = view, .wish = wish };
	if (wish->server && !knows_server(view, wish->server))
		wrong = wish->server;
	if (wish->vip && !knows_vip(view, wish->vip))
		wrong = wish->vip;
	if (wish->client && !read_address(wish->client, &names->client))
		wrong = wish->client;
	return wrong ? reason_set(reason, REASON_USAGE, "flows", EINVAL,
				  "%s: nothing is called so in the file that runs", wrong) :
		       0;
}

static bool is_from(const struct lb_flow_key *key, const struct config_address *client)
{
	uint32_t version = client->family == AF_INET ? 4 : 6;

	return KIND(key) != LB_FLOW_DCID && VERSION(key) == version &&
	       !memcmp(key->word, client->octets, sizeof(client->octets));
}

bool flow_names_means(const struct flow_names *names, const struct lb_flow_key *key,
		      const struct lb_flow *flow)
{
	const struct flow_wish *wish = names->wish;
	const struct config_server *server;
	const char *pool = NULL;

	if (wish->vip && strcmp(wish->vip, flow_names_vip(names, key)))
		return false;
	if (wish->client && !is_from(key, &names->client))
		return false;
	if (!wish->server)
		return true;
	server = flow_names_server(names, flow, &pool);
	return server && is_called(wish->server, pool, server->name);
}

const char *flow_names_kind(const struct lb_flow_key *key)
{
	return KIND(key) == LB_FLOW_DCID ? "cid" : KIND(key) == LB_FLOW_SCID ? "scid" : "tuple";
}

const char *flow_names_client(const struct lb_flow_key *key, char *text)
{
	char address[INET6_ADDRSTRLEN] = "", hex[2 * LB_FLOW_CID_OCTETS + 1];
	int family = VERSION(key) == 4 ? AF_INET : AF_INET6;
	uint16_t port = ntohs((uint16_t)key->word[4]);

	if (KIND(key) == LB_FLOW_DCID) {
		snprintf(text, FLOW_CLIENT_TEXT, "cid %s",
			 config_hex_text((const uint8_t *)key->word, LB_FLOW_CID_OCTETS, hex));
		return text;
	}
	inet_ntop(family, key->word, address, sizeof(address));
	snprintf(text, FLOW_CLIENT_TEXT, family == AF_INET ? "%s:%u" : "[%s]:%u", address, port);
	return text;
}
