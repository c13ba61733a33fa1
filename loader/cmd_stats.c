/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader stats: counters as tables, once or as a live view.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli.h"
#include "log.h"
#include "names.h"
#include "out.h"
#include "stats.h"

struct options {
	bool watch, all;
	long interval, count;
	const char *by;
};

static void item_row(struct out_table *table, const struct stats *before, const struct stats *now,
		     const struct stats_tier *tier, const struct stats_item *item, const char *note,
		     enum out_color color)
{
	double rate = stats_rate(before, now, item, tier->interface, tier->tier);
	char packets[16], octets[16], each[20] = "";
	const char *cells[] = { item->name, packets, octets, each, note };

	out_count(packets, item->count.packets);
	out_octets(octets, item->count.octets);
	if (before) {
		out_count(each, (unsigned long long)rate);
		strcat(each, "/s");
	}
	out_table_row(table, color, cells);
}

static void print_items(const char *heading, const struct stats *before, const struct stats *now,
			const struct stats_tier *tier, const struct stats_item *items, uint32_t n,
			const char *const *notes, bool all)
{
	const char *headings[] = { heading, ">packets", ">octets", ">rate", "" };
	struct out_table *table = out_table_begin(5, headings);
	uint32_t shown = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (!all && !items[i].count.packets)
			continue;
		item_row(table, before, now, tier, &items[i], notes ? notes[i] : "",
			 items[i].count.packets ? OUT_PLAIN : OUT_DIM);
		shown++;
	}
	if (!shown) {
		const char *cells[] = { "(none yet)", "", "", "", "" };

		out_table_row(table, OUT_DIM, cells);
	}
	out_table_end(table);
	out_text("\n");
}

static bool wants(const struct options *options, const char *section)
{
	return !options->by || !strcmp(options->by, section);
}

static void print_tier(const struct options *options, const struct stats *before,
		       const struct stats *now, const struct stats_tier *tier)
{
	const char *helps[LB_REASON_COUNT];
	char packets[16], octets[16];

	for (int i = 0; i < LB_REASON_COUNT; i++)
		helps[i] = names_reason_help(i);
	out_text("%s  %s  generation %u  %s packets  %s\n\n", tier->interface,
		 tiers[tier->tier].name, tier->generation, out_count(packets, tier->total.packets),
		 out_octets(octets, tier->total.octets));
	if (wants(options, "server"))
		print_items("server", before, now, tier, tier->servers, tier->n_servers, NULL,
			    true);
	if (wants(options, "vip"))
		print_items("vip", before, now, tier, tier->vips, tier->n_vips, NULL, true);
	if (wants(options, "config"))
		print_items("config", before, now, tier, tier->configs, tier->n_configs, NULL,
			    true);
	if (wants(options, "reason"))
		print_items("reason", before, now, tier, tier->reasons, LB_REASON_COUNT, helps,
			    options->all);
	if (tier->has_stack && wants(options, "reason")) {
		struct lb_count vips = {};

		for (uint32_t i = 0; i < tier->n_vips; i++)
			vips.packets += tier->vips[i].stack.packets;
		out_text("reached the host stack: %llu for a VIP, %llu for none\n\n",
			 (unsigned long long)vips.packets,
			 (unsigned long long)tier->stack_other.packets);
	}
}

static void print(const struct options *options, const struct stats *before,
		  const struct stats *now)
{
	if (out.json) {
		json_t *document = stats_json(now);

		if (options->watch)
			out_json_line(document);
		else
			out_json(document);
		return;
	}
	if (options->watch && isatty(STDOUT_FILENO))
		out_text("\033[H\033[J");
	for (size_t i = 0; i < now->n; i++)
		print_tier(options, before, now, &now->tiers[i]);
}

/* True when the time is over and nobody asked to stop. */
static bool wait_or_stop(int signals, long seconds)
{
	struct pollfd wait = { .fd = signals, .events = POLLIN };

	fflush(stdout);
	return poll(&wait, 1, (int)seconds * 1000) == 0;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int show(const struct options *options, const char *interface)
{
	struct stats *before = NULL, *now = NULL;
	int signals = options->watch ? open_signals() : -1;
	long seconds = options->interval > 0 ? options->interval : 1;
	struct reason reason = {};
	int status = 0;

	for (long i = 0; !options->count || i < options->count; i++) {
		if (stats_read(interface, &now, &reason)) {
			status = out_fail(&reason);
			break;
		}
		print(options, before, now);
		stats_free(before);
		before = now;
		if (!options->watch || i + 1 == options->count || !wait_or_stop(signals, seconds))
			break;
	}
	stats_free(before);
	if (signals >= 0)
		close(signals);
	return status;
}

static int run(const struct cli_common *common, const void *opaque, int argc, char **argv)
{
	static const char *const sections[] = { "server", "vip", "config", "reason" };
	const struct options *options = opaque;
	struct reason reason = {};
	bool known = !options->by;

	(void)common;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		known = known || !strcmp(options->by, sections[i]);
	if (!known || options->interval < 0 || options->count < 0) {
		reason_set(&reason, REASON_USAGE, "usage", 0, "stats");
		reason_set_hint(&reason,
				"--by takes server, vip, config or reason; numbers are positive");
		return out_fail(&reason);
	}
	return show(options, argc ? argv[0] : NULL);
}

static const struct cli_option option_table[] = {
	{ 'w', "watch", CLI_FLAG, offsetof(struct options, watch), NULL,
	  "again and again, with rates; with --json a line each time" },
	{ 'i', "interval", CLI_NUMBER, offsetof(struct options, interval), "SECONDS",
	  "between two views (default 1)" },
	{ 'n', "count", CLI_NUMBER, offsetof(struct options, count), "N", "stop after N views" },
	{ 0, "by", CLI_STRING, offsetof(struct options, by), "WHAT",
	  "only server, vip, config or reason" },
	{ 'a', "all", CLI_FLAG, offsetof(struct options, all), NULL, "reasons that are zero too" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_stats = {
	.name = "stats",
	.arguments = "[IFACE]",
	.summary = "packets and octets by server, VIP, config and reason",
	.details =
		"Each packet a tier saw counts under exactly one reason (loader help reasons), so the\n"
		"reasons add up to the packets.",
	.options = option_table,
	.options_size = sizeof(struct options),
	.max_arguments = 1,
	.run = run,
};
