/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader server-attach, server-detach, server-status: the decapsulator on a server host.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "decap.h"
#include "log.h"
#include "out.h"

#define MAX_PEERS 1024 /* what peer_map holds */

struct attach_arguments {
	struct cli_list from;
	const char *tier;
	long gue_port;
	bool replace;
};

static int usage(const char *what, const char *hint)
{
	struct reason reason = {};

	reason_set(&reason, REASON_USAGE, "usage", 0, "%s", what);
	reason_set_hint(&reason, "%s", hint);
	return out_fail(&reason);
}

/* "ADDR[,ADDR]" into peers. 0, or the exit status. */
static int add_peers(const char *text, struct config_address *peers, size_t *n)
{
	char address[INET6_ADDRSTRLEN];
	size_t length;

	for (;; text += length + 1) {
		length = strcspn(text, ",");
		snprintf(address, sizeof(address), "%.*s", (int)length, text);
		if (*n == MAX_PEERS)
			return usage(address, "--from takes 1024 balancers at most");
		if (length >= sizeof(address) || config_address_parse(address, &peers[*n]))
			return usage(address, "--from wants IPv4 or IPv6 addresses of balancers");
		(*n)++;
		if (!text[length])
			return 0;
	}
}

static json_t *addresses_json(const struct config_address *list, size_t n)
{
	json_t *array = json_array();
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_string(config_address_text(&list[i], text)));
	return array;
}

/* One line for the tier that could not be had. */
static void tell_refused(const char *interface, const struct reason *refused)
{
	if (refused->code == REASON_NONE)
		return;
	log_warn("%s: not the driver tier: %s%s%s%s; %s", interface, reason_text(refused->code),
		 refused->kernel[0] ? " (kernel: " : "", refused->kernel,
		 refused->kernel[0] ? ")" : "", reason_hint(refused));
}

static json_t *refused_json(const struct reason *refused)
{
	json_t *list = json_array();

	if (refused->code != REASON_NONE)
		json_array_append_new(list, json_pack("{s:s, s:o}", "tier", "driver", "reason",
						      out_reason_json(refused)));
	return list;
}

static int attach(const struct decap_request *request)
{
	struct decap_result result;
	struct reason reason = {};
	int error = decap_attach(request, &result, &reason);

	tell_refused(request->interface, &result.refused);
	if (error)
		return out_fail(&reason);
	out_text("%s: server, %s tier, %s; believes %zu balancer%s, GUE at port %u\n",
		 request->interface, tiers[result.tier].name,
		 result.adopted ? "was attached" : "attached", request->n_peers,
		 request->n_peers == 1 ? "" : "s", request->gue_port);
	out_json(json_pack("{s:s, s:s, s:s, s:b, s:o, s:i, s:o}", "schema", "shunt/server-attach/1",
			   "interface", request->interface, "tier", tiers[result.tier].name,
			   "adopted", result.adopted, "peers",
			   addresses_json(request->peers, request->n_peers), "gue_port",
			   request->gue_port, "refused", refused_json(&result.refused)));
	return 0;
}

static int run_attach(const struct cli_common *common, const void *options, int argc, char **argv)
{
	const struct attach_arguments *arguments = options;
	struct decap_request request = { .interface = argv[0], .replace = arguments->replace };
	struct config_address *peers;
	int status = 0;

	(void)common;
	(void)argc;
	request.tier = arguments->tier ? tier_by_name(arguments->tier) : TIER_NONE;
	if (arguments->tier && strcmp(arguments->tier, "auto") && request.tier != TIER_DRIVER &&
	    request.tier != TIER_GENERIC)
		return usage(arguments->tier, "--tier takes auto, driver or generic");
	if (arguments->gue_port > 65535)
		return usage("--gue-port", "a UDP port: 1 to 65535");
	request.gue_port = arguments->gue_port ? (uint16_t)arguments->gue_port : LB_GUE_PORT;
	if (!arguments->from.n)
		return usage("--from is missing",
			     "name the balancers: anybody else could send packets in any name");
	peers = calloc(MAX_PEERS, sizeof(*peers));
	for (size_t i = 0; peers && !status && i < arguments->from.n; i++)
		status = add_peers(arguments->from.items[i], peers, &request.n_peers);
	request.peers = peers;
	if (!status)
		status = peers ? attach(&request) : 1;
	free(peers);
	return status;
}

static int run_detach(const struct cli_common *common, const void *options, int argc, char **argv)
{
	struct reason reason = {};

	(void)common;
	(void)options;
	(void)argc;
	if (decap_detach(argv[0], &reason))
		return out_fail(&reason);
	out_text("%s: server detached\n", argv[0]);
	out_json(json_pack("{s:s, s:s}", "schema", "shunt/server-detach/1", "interface", argv[0]));
	return 0;
}

static const struct {
	const char *name, *help;
} counters[LB_DECAP_COUNT] = {
#define X(id, text) { #id, text },
	LB_DECAP_COUNTERS(X)
#undef X
};

static json_t *status_json(const struct decap_status *status)
{
	json_t *counts = json_object();

	for (size_t i = 0; i < LB_DECAP_COUNT; i++)
		json_object_set_new(counts, counters[i].name,
				    json_pack("{s:I, s:I}", "packets",
					      (json_int_t)status->counts[i].packets, "octets",
					      (json_int_t)status->counts[i].octets));
	return json_pack("{s:s, s:s, s:i, s:o, s:i, s:o}", "interface", status->interface, "tier",
			 tiers[status->tier].name, "program", (int)status->program_id, "peers",
			 addresses_json(status->peers, status->n_peers), "gue_port",
			 status->gue_port, "counters", counts);
}

static void status_text(const struct decap_status *status)
{
	static const char *const headings[] = { "counter", ">packets", ">octets", "meaning" };
	char text[INET6_ADDRSTRLEN], packets[16], octets[16];
	struct out_table *table;

	out_text("%s: server, %s tier, program %u; believes", status->interface,
		 tiers[status->tier].name, status->program_id);
	for (size_t i = 0; i < status->n_peers; i++)
		out_text(" %s", config_address_text(&status->peers[i], text));
	out_text("; GUE at port %u\n", status->gue_port);
	table = out_table_begin(4, headings);
	for (size_t i = 0; i < LB_DECAP_COUNT; i++) {
		const char *cells[] = { counters[i].name,
					out_count(packets, status->counts[i].packets),
					out_octets(octets, status->counts[i].octets),
					counters[i].help };

		out_table_row(table, OUT_PLAIN, cells);
	}
	out_table_end(table);
}

static int no_server(const char *interface)
{
	struct reason reason = {};

	if (interface && !if_nametoindex(interface)) {
		reason_set(&reason, REASON_NO_INTERFACE, "interface", 0, "%s", interface);
		return out_fail(&reason);
	}
	reason_set(&reason, REASON_NOT_ATTACHED, "status", 0, "%s%sno decapsulator",
		   interface ? interface : "", interface ? ": " : "");
	reason_set_hint(&reason, "loader server-attach %s --from BALANCER",
			interface ? interface : "IFACE");
	return out_fail(&reason);
}

static int run_status(const struct cli_common *common, const void *options, int argc, char **argv)
{
	const char *interface = argc ? argv[0] : NULL;
	json_t *servers = json_array();
	struct decap_status *list;
	struct reason reason = {};
	size_t n;

	(void)common;
	(void)options;
	if (decap_list(interface, &list, &n, &reason)) {
		json_decref(servers);
		return out_fail(&reason);
	}
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(servers, status_json(&list[i]));
		status_text(&list[i]);
	}
	decap_list_free(list, n);
	if (!n) {
		json_decref(servers);
		return no_server(interface);
	}
	out_json(json_pack("{s:s, s:o}", "schema", "shunt/server-status/1", "servers", servers));
	return 0;
}

static const struct cli_option attach_options[] = {
	{ 0, "from", CLI_LIST, offsetof(struct attach_arguments, from), "ADDR[,ADDR]",
	  "balancers to believe: their outer source addresses" },
	{ 0, "gue-port", CLI_NUMBER, offsetof(struct attach_arguments, gue_port), "PORT",
	  "where GUE is taken off: forwarding.gue_port of the balancers (6080)" },
	{ 't', "tier", CLI_STRING, offsetof(struct attach_arguments, tier), "TIER",
	  "auto (default), driver or generic" },
	{ 0, "replace", CLI_FLAG, offsetof(struct attach_arguments, replace), NULL,
	  "take the place of another program" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_server_attach = {
	.name = "server-attach",
	.arguments = "IFACE --from ADDR[,ADDR]",
	.summary = "on a server host: take the outer headers off what balancers send",
	.details =
		"Instead of a tunnel device. Only packets from the addresses given are unpacked. Called\n"
		"again, it puts the new list of balancers, and port of GUE, in the place of the old one.",
	.options = attach_options,
	.options_size = sizeof(struct attach_arguments),
	.min_arguments = 1,
	.max_arguments = 1,
	.acts = true,
	.run = run_attach,
};

const struct cli_command cmd_server_detach = {
	.name = "server-detach",
	.arguments = "IFACE",
	.summary = "on a server host: remove what server-attach put there",
	.min_arguments = 1,
	.max_arguments = 1,
	.acts = true,
	.run = run_detach,
};

const struct cli_command cmd_server_status = {
	.name = "server-status",
	.arguments = "[IFACE]",
	.summary = "on a server host: balancers believed, and counters",
	.max_arguments = 1,
	.run = run_status,
};
