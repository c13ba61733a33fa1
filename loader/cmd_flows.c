/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader show flows, loader flush flows: what is remembered of flows that no connection ID decides.
 */
#include "cmd_flows.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "clock.h"
#include "out.h"

#define SHOWN 100

struct options {
	const char *interface;
	struct flow_wish wish;
	bool all;
};

/* Tables are kept while they are filled, so what nobody reads is not put in. */
struct listing {
	const struct flow_names *names;
	struct out_table *table;
	json_t *list;
	bool all;
	uint64_t count, left_out;
};

static const char *duration(uint32_t ticks, char *text, size_t size)
{
	double seconds = clock_seconds(0, ticks);

	snprintf(text, size, seconds < 120 ? "%.1f s" : "%.0f s", seconds);
	return text;
}

static void add_flow(struct listing *listing, const struct flow_table *flows, uint32_t i)
{
	const struct lb_flow *flow = &flows->list[i];
	const struct lb_flow_key *key = &flows->keys[i];
	char client[FLOW_CLIENT_TEXT], age[16], idle[16], packets[16];
	const char *state = flow->flags & LB_FLOW_ESTABLISHED ? "established" : "handshake";
	const char *vip = flow_names_vip(listing->names, key), *pool = "?";
	const struct config_server *server = flow_names_server(listing->names, flow, &pool);
	const char *cells[] = { vip,
				flow_names_client(key, client),
				server ? server->name : "?",
				state,
				duration(flows->now - flow->born, age, sizeof(age)),
				duration(flows->now - flow->seen, idle, sizeof(idle)),
				packets };

	if (listing->count++ >= SHOWN && !listing->all) {
		listing->left_out++;
		return;
	}
	out_count(packets, flow->packets);
	out_table_row(listing->table, OUT_PLAIN, cells);
	json_array_append_new(listing->list,
			      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:I}", "vip", vip,
					"kind", flow_names_kind(key), "client", client, "pool",
					pool, "server", cells[2], "state", state, "age",
					clock_seconds(0, flows->now - flow->born), "idle",
					clock_seconds(0, flows->now - flow->seen), "packets",
					(json_int_t)flow->packets));
}

static int list_flows(struct listing *listing, struct reason *reason)
{
	struct flow_table flows;
	int err = flow_table_open(&flows, &listing->names->view->attachment->maps, NULL);

	if (err == -ENOTSUP)
		return 0;
	while (!err && flow_table_next(&flows, &err))
		for (uint32_t i = 0; i < flows.n; i++)
			if (!flow_table_is_over(&flows, &flows.list[i]) &&
			    flow_names_means(listing->names, &flows.keys[i], &flows.list[i]))
				add_flow(listing, &flows, i);
	flow_table_close(&flows);
	return err ? reason_set(reason, REASON_UNKNOWN, "map-read", -err, LB_MAP_CONN_TRACK) : 0;
}

json_t *flows_show(const struct view *view, const struct flow_wish *wish, bool all,
		   struct reason *reason)
{
	static const char *const headings[] = { "vip",	"client", "server",  "state",
						">age", ">idle",  ">packets" };
	struct flow_names names;
	struct listing listing = { .names = &names, .all = all };
	json_int_t room = view->attachment->maps.conn_track < 0 ?
				  0 :
				  (json_int_t)view->attachment->maps.sizes.flows;
	int err = flow_names_init(&names, view, wish, reason);

	if (err)
		return NULL;
	listing.table = out_table_begin(7, headings);
	listing.list = json_array();
	err = list_flows(&listing, reason);
	out_table_end(listing.table);
	if (err) {
		json_decref(listing.list);
		return NULL;
	}
	out_text("%llu flows", (unsigned long long)listing.count);
	if (listing.left_out)
		out_text(", %llu of them not shown: --all shows them",
			 (unsigned long long)listing.left_out);
	out_text("; there is room for %lld\n", (long long)room);
	return json_pack("{s:I, s:I, s:I, s:o}", "count", (json_int_t)listing.count, "left_out",
			 (json_int_t)listing.left_out, "room", room, "list", listing.list);
}

/* With a client's flow goes what its server's connection ID says. */
static void flush_cid(const struct flow_table *flows, uint32_t i)
{
	if (flows->list[i].flags & LB_FLOW_LONG_CID)
		flow_table_delete_cid(flows, i);
}

static int flush_tier(const struct attachment *attachment, const struct flow_wish *wish,
		      json_int_t *flushed, struct reason *reason)
{
	struct flow_names names;
	struct flow_table flows;
	struct view view;
	int err = view_read(attachment, &view, reason);

	if (!err && view.config)
		err = flow_names_init(&names, &view, wish, reason);
	if (err || !view.config) {
		view_free(&view);
		return err;
	}
	err = flow_table_open(&flows, &attachment->maps, NULL);
	while (!err && flow_table_next(&flows, &err))
		for (uint32_t i = 0; i < flows.n; i++) {
			if (!flow_names_means(&names, &flows.keys[i], &flows.list[i]))
				continue;
			if (wish->client)
				flush_cid(&flows, i);
			flow_table_delete(&flows, i);
			++*flushed;
		}
	flow_table_close(&flows);
	view_free(&view);
	return !err || err == -ENOTSUP ?
		       0 :
		       reason_set(reason, REASON_UNKNOWN, "map-write", -err, LB_MAP_CONN_TRACK);
}

static int run(const struct cli_common *common, const void *opaque, int argc, char **argv)
{
	const struct options *options = opaque;
	const struct flow_wish *wish = &options->wish;
	struct attachment *list = NULL;
	struct reason reason = {};
	json_int_t flushed = 0;
	size_t n = 0;
	int err;

	(void)common;
	(void)argc;
	if (strcmp(argv[0], "flows"))
		return out_usage(argv[0], "flush takes flows");
	if (options->all == (wish->server || wish->vip || wish->client))
		return out_usage("flush", "say which: --server, --vip, --client, or --all of them");
	err = attach_list(options->interface, &list, &n, &reason);
	if (!err && !n)
		err = reason_set(&reason, REASON_NOT_ATTACHED, "flush", ENOENT, "%s",
				 options->interface ? options->interface : "");
	for (size_t i = 0; !err && i < n; i++)
		err = flush_tier(&list[i], wish, &flushed, &reason);
	attach_list_free(list, n);
	if (err)
		return out_fail(&reason);
	out_text("%lld flows forgotten\n", (long long)flushed);
	out_json(json_pack("{s:s, s:I}", "schema", "shunt/flush/1", "flushed", flushed));
	return 0;
}

static const struct cli_option option_table[] = {
	{ 0, "dev", CLI_STRING, offsetof(struct options, interface), "IFACE",
	  "only this interface" },
	{ 0, "server", CLI_STRING, offsetof(struct options, wish.server), "NAME",
	  "those of this server; POOL/NAME where pools share a name" },
	{ 0, "vip", CLI_STRING, offsetof(struct options, wish.vip), "NAME", "those to this VIP" },
	{ 0, "client", CLI_STRING, offsetof(struct options, wish.client), "ADDRESS",
	  "those from this address" },
	{ 0, "all", CLI_FLAG, offsetof(struct options, all), NULL, "all of them" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_flush = {
	.name = "flush",
	.arguments = "flows",
	.summary = "forget where flows without a routable connection ID went",
	.details =
		"Only such flows are remembered. The next packet of one that is forgotten goes where\n"
		"the table says now: a connection that this moves is lost, unless its connection ID\n"
		"becomes routable.",
	.options = option_table,
	.options_size = sizeof(struct options),
	.min_arguments = 1,
	.max_arguments = 1,
	.acts = true,
	.run = run,
};
