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

#define INTERVAL_MAX 86400

struct options {
	bool watch, all;
	long interval, count; /* 0: not given */
	const char *by;
};

static const struct section {
	const char *name;
	enum stats_kind kind;
} sections[] = {
	{ "server", STATS_SERVERS }, { "vip", STATS_VIPS },   { "config", STATS_CONFIGS },
	{ "reason", STATS_REASONS }, { "flow", STATS_FLOWS }, { "stack", STATS_STACK_IN },
};

#define N_SECTIONS (sizeof(sections) / sizeof(sections[0]))

/* Two readings of the counters; before: NULL with the first. */
struct pair {
	const struct stats *before, *now;
};

static const char *rate_text(const struct pair *pair, const struct stats_tier *tier,
			     enum stats_kind kind, uint32_t index, char *text)
{
	text[0] = '\0';
	if (!pair->before)
		return text;
	out_count(
		text,
		(unsigned long long)(stats_rate(pair->before, pair->now, tier, kind, index) + 0.5));
	return strcat(text, "/s");
}

static void item_row(struct out_table *table, const struct pair *pair,
		     const struct stats_tier *tier, enum stats_kind kind, uint32_t index)
{
	uint32_t n;
	const struct stats_item *item = &stats_items(tier, kind, &n)[index];
	const char *note = kind == STATS_REASONS ? names_reason_help(index) :
			   kind == STATS_FLOWS	 ? names_flow_help(index) :
						   "";
	char packets[16], octets[16] = "", each[20];
	const char *cells[] = { item->name, packets, octets,
				rate_text(pair, tier, kind, index, each), note };

	out_count(packets, item->count.packets);
	if (kind != STATS_FLOWS)
		out_octets(octets, item->count.octets);
	out_table_row(table, item->count.packets || kind != STATS_REASONS ? OUT_PLAIN : OUT_DIM,
		      cells);
}

static void print_items(const char *heading, const struct pair *pair, const struct stats_tier *tier,
			enum stats_kind kind, bool all)
{
	const char *headings[] = { heading, ">packets", ">octets", ">rate", "" };
	struct out_table *table = out_table_begin(5, headings);
	uint32_t n, shown = 0;
	const struct stats_item *items = stats_items(tier, kind, &n);

	for (uint32_t i = 0; i < n; i++) {
		if (!all && !items[i].count.packets)
			continue;
		item_row(table, pair, tier, kind, i);
		shown++;
	}
	if (!shown) {
		const char *cells[] = { "(none yet)", "", "", "", "" };

		out_table_row(table, OUT_DIM, cells);
	}
	out_table_end(table);
	out_text("\n");
}

/* What the TC programs saw come up to the host's stack, or leave it. */
static void print_stack(const struct pair *pair, const struct stats_tier *tier,
			enum stats_kind kind, bool all)
{
	bool in = kind == STATS_STACK_IN;
	const char *headings[] = {
		in ? "stack, in" : "stack, out",	  ">packets", ">octets", ">rate",
		in ? ">to user space" : ">from a server", ">dropped"
	};
	struct out_table *table = out_table_begin(6, headings);
	uint32_t n;
	const struct stats_item *items = stats_items(tier, kind, &n);

	for (uint32_t i = 0; i < n; i++) {
		char packets[16], octets[16], each[20], redirects[16], drops[16];
		const char *cells[] = { items[i].name,
					out_count(packets, items[i].count.packets),
					out_octets(octets, items[i].count.octets),
					rate_text(pair, tier, kind, i, each),
					out_count(redirects, items[i].redirects),
					out_count(drops, items[i].drops) };

		if (all || !i || items[i].count.packets)
			out_table_row(table, items[i].drops ? OUT_WARN : OUT_PLAIN, cells);
	}
	out_table_end(table);
	out_text("\n");
}

static bool wants(const struct options *options, const char *section)
{
	return !options->by || !strcmp(options->by, section);
}

static const char *percent(double share, char *text, size_t size)
{
	if (share < 0)
		snprintf(text, size, "none yet");
	else
		snprintf(text, size, "%.1f %%", 100 * share);
	return text;
}

/* What a CPU did not ask for is in neither of the two. */
static void print_cache(const struct pair *pair, const struct stats_tier *tier)
{
	unsigned long long found = tier->cache.found, missed = tier->cache.missed;
	char all[16], since[16];

	out_text("cid_cache: had %llu of %llu encrypted CIDs: %s", found, found + missed,
		 percent(stats_cache_share(NULL, tier), all, sizeof(all)));
	if (pair->before)
		out_text("; since the last view: %s",
			 percent(stats_cache_share(pair->before, tier), since, sizeof(since)));
	out_text("; CPUs that leave it alone now: %u\n\n", tier->cache.resting);
}

static void print_tier(const struct options *options, const struct pair *pair,
		       const struct stats_tier *tier)
{
	char packets[16], octets[16];

	out_text("%s  %s  generation %u  %s packets  %s\n\n", tier->interface,
		 tiers[tier->tier].name, tier->generation, out_count(packets, tier->total.packets),
		 out_octets(octets, tier->total.octets));
	for (size_t i = 0; i < N_SECTIONS; i++) {
		enum stats_kind kind = sections[i].kind;

		if (kind != STATS_STACK_IN && !(kind == STATS_FLOWS && !tier->n_flows) &&
		    wants(options, sections[i].name))
			print_items(sections[i].name, pair, tier, kind,
				    options->all ||
					    !(kind == STATS_REASONS || kind == STATS_FLOWS));
	}
	if (tier->conn_track_room && wants(options, "flow"))
		out_text("conn_track: %llu of %llu flows\n\n",
			 (unsigned long long)tier->conn_track_used,
			 (unsigned long long)tier->conn_track_room);
	if (tier->cache.asked && wants(options, "config"))
		print_cache(pair, tier);
	if (tier->n_stack[LB_EGRESS] && wants(options, "stack")) {
		print_stack(pair, tier, STATS_STACK_IN, options->all);
		print_stack(pair, tier, STATS_STACK_OUT, options->all);
	}
}

static void print_sums(const struct stats_share *share)
{
	const char *headings[] = { "server, both tiers", ">packets", ">octets" };
	struct out_table *table = out_table_begin(3, headings);
	char packets[16], octets[16];

	for (uint32_t i = 0; i < share->card->n_servers; i++) {
		struct lb_count sum = stats_share_server(share, i);
		const char *cells[] = { share->card->servers[i].name,
					out_count(packets, sum.packets),
					out_octets(octets, sum.octets) };

		out_table_row(table, OUT_PLAIN, cells);
	}
	out_table_end(table);
	out_text("\n");
}

static void print_share(const struct options *options, const struct stats_share *share)
{
	char all[16], encrypted[16];

	out_text("%s  of what both tiers forwarded, the card did: %s; of the encrypted: %s; "
		 "CIDs it knows: %u of %u\n\n",
		 share->interface, percent(share->all, all, sizeof(all)),
		 percent(share->encrypted, encrypted, sizeof(encrypted)), share->known,
		 share->known_room);
	if (wants(options, "server"))
		print_sums(share);
}

static bool watches(const struct options *options)
{
	return options->watch || options->interval || options->count;
}

static void print(const struct options *options, const struct pair *pair)
{
	if (out.json) {
		json_t *document = stats_json(pair->now);

		if (watches(options))
			out_json_line(document);
		else
			out_json(document);
		return;
	}
	if (watches(options) && isatty(STDOUT_FILENO))
		out_text("\033[H\033[J");
	for (size_t i = 0; i < pair->now->n; i++) {
		struct stats_share share;

		print_tier(options, pair, &pair->now->tiers[i]);
		if (stats_share(pair->now, i, &share))
			print_share(options, &share);
	}
}

/* True when the time is over, nobody asked to stop, and somebody still gets what is printed. */
static bool wait_or_stop(int signals, long seconds)
{
	struct pollfd wait = { .fd = signals, .events = POLLIN };

	return !fflush(stdout) && poll(&wait, 1, (int)seconds * 1000) == 0;
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
	int signals = watches(options) ? open_signals() : -1;
	long seconds = options->interval ? options->interval : 1;
	struct reason reason = {};
	int status = 0;

	for (long i = 0; !options->count || i < options->count; i++) {
		if (stats_read(interface, &now, &reason)) {
			status = out_fail(&reason);
			break;
		}
		print(options, &(struct pair){ before, now });
		stats_free(before);
		before = now;
		if (!watches(options) || i + 1 == options->count || !wait_or_stop(signals, seconds))
			break;
	}
	stats_free(before);
	if (signals >= 0)
		close(signals);
	return status;
}

static int run(const struct cli_common *common, const void *opaque, int argc, char **argv)
{
	const struct options *options = opaque;
	bool known = !options->by;
	char text[24];

	(void)common;
	for (size_t i = 0; i < N_SECTIONS; i++)
		known = known || !strcmp(options->by, sections[i].name);
	if (!known)
		return out_usage(options->by,
				 "--by takes server, vip, config, reason, flow or stack");
	if (options->interval > INTERVAL_MAX) {
		snprintf(text, sizeof(text), "%ld", options->interval);
		return out_usage(text, "--interval takes 1 to 86400 seconds");
	}
	return show(options, argc ? argv[0] : NULL);
}

static const struct cli_option option_table[] = {
	{ 'w', "watch", CLI_FLAG, offsetof(struct options, watch), NULL,
	  "again and again, with rates; with --json a line each time" },
	{ 'i', "interval", CLI_NUMBER, offsetof(struct options, interval), "SECONDS",
	  "between two views, which implies -w (default 1)" },
	{ 'n', "count", CLI_NUMBER, offsetof(struct options, count), "N",
	  "stop after N views, which implies -w" },
	{ 0, "by", CLI_STRING, offsetof(struct options, by), "WHAT",
	  "only server, vip, config, reason, flow or stack" },
	{ 'a', "all", CLI_FLAG, offsetof(struct options, all), NULL,
	  "reasons, and lines of flows and the stack, that are zero too" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_stats = {
	.name = "stats",
	.arguments = "[IFACE]",
	.summary = "packets and octets by server, VIP, config and reason, and of the stack",
	.details =
		"Each packet a tier saw counts under exactly one reason (loader help reasons), so the\n"
		"reasons add up to the packets. What came up to the host's stack on the interface and\n"
		"what left by it is counted apart, by VIP. flow: what became of packets whose flow was not\n"
		"known.",
	.options = option_table,
	.options_size = sizeof(struct options),
	.max_arguments = 1,
	.run = run,
};
