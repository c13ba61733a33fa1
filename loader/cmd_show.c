/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader show: what the applied configuration became in the maps of an attached tier.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cmd_flows.h"
#include "conns.h"
#include "out.h"
#include "rotation.h"
#include "seen.h"
#include "view.h"

struct options {
	const char *interface;
	struct flow_wish wish;
	bool all;
};

static const char *state_name(const struct config_server *server)
{
	return server->state == CONFIG_DRAIN ? "drain" : "up";
}

/* As many as a line has room for; JSON has them all. */
static void ids_text(const struct config_server *server, char *text, size_t size)
{
	char hex[2 * LB_SERVER_ID_MAX + 1];
	size_t at = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < server->n_ids; i++) {
		const struct config_server_id *id = &server->ids[i];

		if (at + 2 * id->length + sizeof(" 0: …") > size) {
			snprintf(text + at, size - at, " …");
			return;
		}
		at += (size_t)snprintf(text + at, size - at, "%s%u:%s", i ? " " : "", id->config,
				       config_hex_text(id->id, id->length, hex));
	}
}

static json_t *ids_json(const struct config_server *server)
{
	char hex[2 * LB_SERVER_ID_MAX + 1];
	json_t *list = json_array();

	for (uint32_t i = 0; i < server->n_ids; i++)
		json_array_append_new(
			list,
			json_pack("{s:i, s:s}", "config", server->ids[i].config, "id",
				  config_hex_text(server->ids[i].id, server->ids[i].length, hex)));
	return list;
}

/* "52:54:00:00:00:01 eth1", or why packets for this server are passed up. */
static void hop_text(const struct view *view, uint32_t number, char *text, size_t size)
{
	const struct lb_server *server = &view->servers[number];
	const uint8_t *mac = server->destination_mac;
	char name[IF_NAMESIZE] = "?";

	if (server->mode == LB_MODE_UNSET) {
		snprintf(text, size, "unknown");
		return;
	}
	if (!server->egress)
		snprintf(name, sizeof(name), "%s", view->attachment->interface);
	else
		if_indextoname(server->egress, name);
	snprintf(text, size, "%02x:%02x:%02x:%02x:%02x:%02x %s", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5], name);
}

static void server_row(const struct view *view, uint32_t i, struct out_table *table, json_t *list)
{
	char address[INET6_ADDRSTRLEN], ids[96], hop[64], weight[16], share[16], shown[16];
	char mtu[16];
	uint32_t pool = 0, number = view->number[i];
	const struct config_server *server = plan_server(view->config, i, &pool);
	const char *pool_name = view->config->pools[pool].name;
	const char *cells[] = { pool_name,
				server->name,
				shown,
				address,
				config_mode_text(server->mode),
				weight,
				share,
				state_name(server),
				hop,
				mtu,
				ids };
	bool resolved = view->servers[number].mode != LB_MODE_UNSET;
	bool measured = resolved && view->servers[number].mtu != UINT16_MAX;

	config_address_text(&server->address, address);
	ids_text(server, ids, sizeof(ids));
	hop_text(view, number, hop, sizeof(hop));
	snprintf(mtu, sizeof(mtu), measured ? "%u" : "unknown", view->servers[number].mtu);
	snprintf(shown, sizeof(shown), "%u", number);
	snprintf(weight, sizeof(weight), "%u", server->weight);
	snprintf(share, sizeof(share), "%.1f%%", 100.0 * view->shares[number] / view_rows(view));
	out_table_row(table, resolved ? OUT_PLAIN : OUT_BAD, cells);
	json_array_append_new(
		list, json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:s, s:o, s:o, s:o}", "pool",
				pool_name, "server", server->name, "number", (json_int_t)number,
				"address", address, "mode", config_mode_text(server->mode),
				"weight", (json_int_t)server->weight, "rows",
				(json_int_t)view->shares[number], "state", state_name(server),
				"next_hop", resolved ? json_string(hop) : json_null(), "mtu",
				measured ? json_integer(view->servers[number].mtu) : json_null(),
				"server_ids", ids_json(server)));
}

static json_t *show_servers(const struct view *view)
{
	static const char *const headings[] = { "pool",	    "server",  ">number",   "address",
						"mode",	    ">weight", ">rows",	    "state",
						"next hop", ">mtu",    "server ids" };
	struct out_table *table = out_table_begin(11, headings);
	json_t *list = json_array();

	for (uint32_t i = 0; i < view->n_servers; i++)
		server_row(view, i, table, list);
	out_table_end(table);
	return list;
}

static json_t *show_vips(const struct view *view)
{
	static const char *const headings[] = { "vip", "address", ">port", "pool" };
	struct out_table *table = out_table_begin(4, headings);
	json_t *list = json_array();

	for (uint32_t i = 0; i < view->config->n_vips; i++) {
		const struct config_vip *vip = &view->config->vips[i];
		const char *pool = view->config->pools[vip->pool].name;
		char address[INET6_ADDRSTRLEN], port[8];
		const char *cells[] = { vip->name, address, port, pool };

		config_address_text(&vip->address, address);
		snprintf(port, sizeof(port), "%u", vip->port);
		out_table_row(table, OUT_PLAIN, cells);
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:i, s:s}", "vip", vip->name, "address",
						address, "port", vip->port, "pool", pool));
	}
	out_table_end(table);
	return list;
}

/* "12 s", "3 min", "5 h", "2 d": how long ago. */
static const char *age_text(double seconds, char *text, size_t size)
{
	if (seconds < 120)
		snprintf(text, size, "%.0f s", seconds);
	else if (seconds < 7200)
		snprintf(text, size, "%.0f min", seconds / 60);
	else if (seconds < 172800)
		snprintf(text, size, "%.0f h", seconds / 3600);
	else
		snprintf(text, size, "%.0f d", seconds / 86400);
	return text;
}

/* Whether a card above routed by it while nobody kept the time. */
static bool used_unseen(const struct view *view, const struct config_cid *cid)
{
	struct rotation_use use = {};
	struct config *config = NULL;
	struct reason ignored = {};
	struct plan_numbers *numbers = NULL;
	uint32_t generation;

	if (!view->card || seen_is_kept(&view->attachment->maps))
		return false;
	if (!sync_read(&view->card->maps, &config, &numbers, &generation, &ignored) && config)
		rotation_use(&view->card->maps, config, numbers, cid, false, &use);
	plan_numbers_free(numbers);
	config_free(config);
	return use.unknown;
}

/* The tier keeps no times (a card's does not): nobody can say. */
static const char *removable_text(const struct view *view, const struct rotation_use *use)
{
	if (view->attachment->maps.cid_seen < 0 || use->unknown)
		return "not known here";
	return !use->seen || use->quiet >= view->config->min_quiet ? "yes" : "not yet";
}

static void config_row(const struct view *view, const struct config_cid *cid,
		       const struct rotation_use *use, struct out_table *table)
{
	char id[8], lengths[16], length[16], packets[16], quiet[24] = "never used";
	char key[CONFIG_KEY_TEXT] = "";
	const char *pool = cid->pool == CONFIG_NO_POOL ? "" : view->config->pools[cid->pool].name;
	const char *cells[] = { id,
				pool,
				config_algorithm(cid),
				key,
				lengths,
				length,
				cid->state == CONFIG_RETIRING ? "retiring" : "active",
				packets,
				quiet,
				removable_text(view, use) };

	snprintf(id, sizeof(id), "%u", cid->id);
	snprintf(lengths, sizeof(lengths), "%u+%u", cid->server_id_length, cid->nonce_length);
	snprintf(length, sizeof(length), "%u", 1 + cid->server_id_length + cid->nonce_length);
	out_count(packets, use->count.packets);
	config_key_text(cid, key);
	if (use->seen)
		age_text(use->quiet, quiet, sizeof(quiet));
	out_table_row(table, cid->state == CONFIG_RETIRING ? OUT_DIM : OUT_PLAIN, cells);
}

static json_t *config_json(const struct view *view, const struct config_cid *cid,
			   const struct rotation_use *use)
{
	const char *removable = removable_text(view, use);
	char key[CONFIG_KEY_TEXT];

	return json_pack("{s:i, s:s?, s:s, s:s?, s:i, s:i, s:s, s:I, s:o, s:o}", "config", cid->id,
			 "pool",
			 cid->pool == CONFIG_NO_POOL ? NULL : view->config->pools[cid->pool].name,
			 "algorithm", config_algorithm(cid), "key_fingerprint",
			 config_key_text(cid, key), "server_id_length", cid->server_id_length,
			 "nonce_length", cid->nonce_length, "state",
			 cid->state == CONFIG_RETIRING ? "retiring" : "active", "packets",
			 (json_int_t)use->count.packets, "quiet_seconds",
			 use->seen ? json_real(use->quiet) : json_null(), "removable",
			 !strcmp(removable, "yes")     ? json_true() :
			 !strcmp(removable, "not yet") ? json_false() :
							 json_null());
}

static json_t *show_configs(const struct view *view)
{
	static const char *const headings[] = {
		">config", "pool",  "algorithm", "key",	   "server id+nonce",
		">octets", "state", ">packets",	 ">quiet", "can be removed",
	};
	struct out_table *table = out_table_begin(10, headings);
	json_t *list = json_array();

	for (uint32_t i = 0; i < view->config->n_cids; i++) {
		const struct config_cid *cid = &view->config->cids[i];
		struct rotation_use use = {};

		rotation_use(&view->attachment->maps, view->config, view->numbers, cid, true, &use);
		use.unknown = used_unseen(view, cid);
		config_row(view, cid, &use, table);
		json_array_append_new(list, config_json(view, cid, &use));
	}
	out_table_end(table);
	return list;
}

/* For each pool the server number in every row: what two balancers can be compared by. */
static json_t *show_rows(const struct view *view)
{
	static const char *const headings[] = { "pool", ">rows", ">empty", "servers" };
	struct out_table *table = out_table_begin(4, headings);
	json_t *list = json_array();

	for (uint32_t pool = 0; pool < view->config->n_pools; pool++) {
		uint32_t n = view_rows(view), empty = 0;
		const uint32_t *rows = view->rows + (size_t)pool * n;
		char total[16], none[16], servers[16];
		const char *cells[] = { view->config->pools[pool].name, total, none, servers };
		json_t *numbers = json_array();

		for (uint32_t i = 0; i < n; i++) {
			empty += !rows[i];
			json_array_append_new(numbers, json_integer(rows[i]));
		}
		snprintf(total, sizeof(total), "%u", n);
		snprintf(none, sizeof(none), "%u", empty);
		snprintf(servers, sizeof(servers), "%u", view->config->pools[pool].n_servers);
		out_table_row(table, empty ? OUT_WARN : OUT_PLAIN, cells);
		json_array_append_new(list,
				      json_pack("{s:s, s:o}", "pool",
						view->config->pools[pool].name, "rows", numbers));
	}
	out_table_end(table);
	return list;
}

static const char *server_name(const struct view *view, uint32_t number, char *name, size_t size)
{
	snprintf(name, size, "%u", number);
	for (uint32_t i = 0; i < view->n_servers; i++)
		if (view->number[i] == number) {
			uint32_t pool = 0;
			const struct config_server *server = plan_server(view->config, i, &pool);

			snprintf(name, size, "%s/%s", view->config->pools[pool].name, server->name);
		}
	return name;
}

/* The config of an entry's pool; NULL: of a file that ran before. */
static const struct config_cid *config_of(const struct view *view, const struct lb_conn_key *key)
{
	for (uint32_t pool = 0; pool < view->config->n_pools; pool++)
		if (plan_pool_number(view->config, view->numbers, pool) == key->config >> 3)
			return config_find_cid(view->config, pool,
					       key->config & LB_CONFIG_RESERVED);
	return NULL;
}

static void known_row(const struct view *view, const struct conns_entry *entry,
		      struct out_table *table, json_t *list)
{
	const struct config_cid *cid = config_of(view, &entry->key);
	char hex[2 * LB_CID_MAX + 1], id[8], name[2 * CONFIG_NAME_MAX + 2], packets[16];
	const char *cells[] = { hex, id, name, packets };
	uint8_t octets[LB_CID_MAX];

	memcpy(octets, entry->key.cid, sizeof(octets));
	config_hex_text(octets, cid ? 1u + cid->server_id_length + cid->nonce_length : LB_CID_MAX,
			hex);
	snprintf(id, sizeof(id), "%u", entry->key.config & LB_CONFIG_RESERVED);
	server_name(view, entry->conn.server, name, sizeof(name));
	out_count(packets, entry->conn.packets);
	out_table_row(table, OUT_PLAIN, cells);
	json_array_append_new(list,
			      json_pack("{s:s, s:i, s:s, s:I}", "cid", hex, "config",
					(int)(entry->key.config & LB_CONFIG_RESERVED), "server",
					name, "packets", (json_int_t)entry->conn.packets));
}

/* What a card was told of, the most used first; a host tier decodes by itself. */
static json_t *show_known(const struct view *view)
{
	static const char *const headings[] = { "connection ID", ">config", "server", ">packets" };
	struct out_table *table = out_table_begin(4, headings);
	struct conns_entry *entries = NULL;
	json_t *list = json_array();
	uint32_t n = 0;

	if (view->attachment->maps.conn >= 0)
		conns_read(&view->attachment->maps, &entries, &n);
	for (uint32_t i = 0; i < n; i++)
		known_row(view, &entries[i], table, list);
	out_table_end(table);
	free(entries);
	return list;
}

static const struct topic {
	const char *name;
	json_t *(*show)(const struct view *view); /* NULL: flows, which are more than one shows */
} topics[] = {
	{ "servers", show_servers }, { "vips", show_vips },   { "configs", show_configs },
	{ "rows", show_rows },	     { "known", show_known }, { "flows", NULL },
};

/* NULL: there is none, or this is it. */
static const struct attachment *card_of(const struct attachment *attachment,
					const struct attachment *all, size_t n)
{
	for (size_t i = 0; attachment->tier != TIER_OFFLOAD && i < n; i++)
		if (all[i].tier == TIER_OFFLOAD && all[i].ifindex == attachment->ifindex)
			return &all[i];
	return NULL;
}

/* NULL with a reason. */
static json_t *show_topic(const struct topic *topic, const struct options *options,
			  const struct view *view, struct reason *reason)
{
	return topic->show ? topic->show(view) :
			     flows_show(view, &options->wish, options->all, reason);
}

static int show_tier(const struct topic *topic, const struct options *options,
		     const struct attachment *attachment, const struct attachment *card,
		     json_t *list, struct reason *reason)
{
	json_t *shown = NULL;
	struct view view;
	int err = view_read(attachment, &view, reason);

	view.card = card;
	if (err) {
		view_free(&view);
		return err;
	}
	out_text("%s  %s  generation %u\n", attachment->interface, tiers[attachment->tier].name,
		 view.generation);
	if (view.config)
		shown = show_topic(topic, options, &view, reason);
	else
		out_text("no configuration has been applied\n");
	if (shown)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:I, s:o}", "interface", attachment->interface,
					"tier", tiers[attachment->tier].name, "generation",
					(json_int_t)view.generation, topic->name, shown));
	view_free(&view);
	return reason->code == REASON_NONE ? 0 : -EINVAL;
}

static int run(const struct cli_common *common, const void *opaque, int argc, char **argv)
{
	const struct options *options = opaque;
	const struct topic *topic = NULL;
	struct attachment *list = NULL;
	struct reason reason = {};
	json_t *shown;
	size_t n = 0;
	int err;

	(void)common;
	(void)argc;
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
		if (!strcmp(argv[0], topics[i].name))
			topic = &topics[i];
	if (!topic) {
		return out_usage(argv[0],
				 "show takes servers, vips, configs, rows, known or flows");
	}
	err = attach_list(options->interface, &list, &n, &reason);
	if (!err && !n)
		err = reason_set(&reason, REASON_NOT_ATTACHED, "show", ENOENT, "%s",
				 options->interface ? options->interface : "");
	shown = json_array();
	for (size_t i = 0; !err && i < n; i++)
		err = show_tier(topic, options, &list[i], card_of(&list[i], list, n), shown,
				&reason);
	attach_list_free(list, n);
	if (err) {
		json_decref(shown);
		return out_fail(&reason);
	}
	out_json(json_pack("{s:s, s:o}", "schema", "shunt/show/1", "tiers", shown));
	return 0;
}

static const struct cli_option option_table[] = {
	{ 0, "dev", CLI_STRING, offsetof(struct options, interface), "IFACE",
	  "only this interface" },
	{ 0, "server", CLI_STRING, offsetof(struct options, wish.server), "NAME",
	  "flows: of this server; POOL/NAME where pools share a name" },
	{ 0, "vip", CLI_STRING, offsetof(struct options, wish.vip), "NAME", "flows: to this VIP" },
	{ 0, "client", CLI_STRING, offsetof(struct options, wish.client), "ADDRESS",
	  "flows: from this address" },
	{ 0, "all", CLI_FLAG, offsetof(struct options, all), NULL,
	  "flows: all, and not the first hundred" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_show = {
	.name = "show",
	.arguments = "servers|vips|configs|rows|known|flows",
	.summary = "what the applied file became in the maps",
	.options = option_table,
	.options_size = sizeof(struct options),
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run,
};
