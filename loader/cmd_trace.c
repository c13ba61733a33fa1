/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loader trace: packets from the command line or a capture through the real program of a tier.
 */
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "names.h"
#include "out.h"
#include "report.h"
#include "trace.h"

struct options {
	const char *tier, *hex, *pcap, *out, *dev;
	bool known;
};

struct job {
	pcap_t *capture; /* NULL: the one frame */
	uint8_t frame[TRACE_FRAME_MAX];
	size_t frame_length;
	struct trace *trace;
	struct out_table *table;
	pcap_t *shape; /* of what is dumped */
	pcap_dumper_t *dump;
	bool known; /* a card is told of each CID before its packet */
	unsigned long packet, failed;
};

static json_t *name_or_null(const char *name)
{
	return name ? json_string(name) : json_null();
}

static void print_json(const struct job *job, const struct trace_outcome *outcome, size_t length)
{
	out_json_line(
		json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I}", "packet",
			  (json_int_t)job->packet, "verdict", trace_verdict_name(outcome->verdict),
			  "reason", names_reason(outcome->reason), "config",
			  outcome->config_id < 0 ? json_null() : json_integer(outcome->config_id),
			  "vip", name_or_null(outcome->vip ? outcome->vip->name : NULL), "pool",
			  name_or_null(outcome->pool ? outcome->pool->name : NULL), "server",
			  name_or_null(outcome->server ? outcome->server->name : NULL), "length",
			  (json_int_t)length, "out_length", (json_int_t)outcome->length));
}

static void print_text(const struct job *job, const struct trace_outcome *outcome, size_t length)
{
	char number[24], config[12] = "-", octets[48];
	const char *cells[] = { number,
				trace_verdict_name(outcome->verdict),
				names_reason(outcome->reason),
				config,
				outcome->vip ? outcome->vip->name : "-",
				outcome->server ? outcome->server->name : "-",
				octets };

	snprintf(number, sizeof(number), "%lu", job->packet);
	if (outcome->config_id >= 0)
		snprintf(config, sizeof(config), "%d", outcome->config_id);
	snprintf(octets, sizeof(octets), "%zu -> %zu", length, outcome->length);
	out_table_row(job->table,
		      !outcome->server		       ? OUT_DIM :
		      outcome->reason == LB_REASON_cid ? OUT_GOOD :
							 OUT_PLAIN,
		      cells);
}

/* A frame that cannot be run is told of in its place; the others go on. */
static void print_failure(struct job *job, const struct reason *reason)
{
	char number[24];
	const char *cells[] = { number, "-", "not run", "-", "-", "-", reason->what };

	job->failed++;
	snprintf(number, sizeof(number), "%lu", job->packet);
	out_table_row(job->table, OUT_BAD, cells);
	out_json_line(json_pack("{s:I, s:n, s:n, s:o}", "packet", (json_int_t)job->packet,
				"verdict", "reason", "error", out_reason_json(reason)));
}

static void trace_frame(struct job *job, const uint8_t *frame, size_t length)
{
	struct reason reason = {};
	struct trace_outcome outcome;

	job->packet++;
	if ((job->known && trace_know(job->trace, frame, length, &reason)) ||
	    trace_run(job->trace, frame, length, &outcome, &reason)) {
		print_failure(job, &reason);
		outcome.frame = frame;
		outcome.length = length;
	} else {
		print_json(job, &outcome, length);
		print_text(job, &outcome, length);
	}
	if (job->dump) {
		struct pcap_pkthdr header = { .caplen = outcome.length, .len = outcome.length };

		pcap_dump((u_char *)job->dump, &header, outcome.frame);
	}
}

static int file_failed(const char *path, const char *why)
{
	struct reason reason = {};

	reason_set(&reason, REASON_UNKNOWN, "pcap", 0, "%s: %s", path, why);
	return out_fail(&reason);
}

/* Digits, with blanks and colons between octets. The number of octets, or -EINVAL. */
static int parse_hex(const char *text, uint8_t *octets, size_t room)
{
	size_t n = 0;
	int high = -1;

	for (; *text; text++) {
		int digit;

		if (isspace((unsigned char)*text) || *text == ':') {
			if (high >= 0)
				return -EINVAL;
			continue;
		}
		if (!isxdigit((unsigned char)*text) || n == room)
			return -EINVAL;
		digit = isdigit((unsigned char)*text) ? *text - '0' :
							(tolower((unsigned char)*text) - 'a' + 10);
		if (high < 0) {
			high = digit;
			continue;
		}
		octets[n++] = (uint8_t)(high << 4 | digit);
		high = -1;
	}
	return high < 0 && n ? (int)n : -EINVAL;
}

static int open_capture(struct job *job, const char *path)
{
	char error[PCAP_ERRBUF_SIZE];

	job->capture = pcap_open_offline(path, error);
	if (!job->capture)
		return file_failed(path, error);
	if (pcap_datalink(job->capture) != DLT_EN10MB)
		return file_failed(path, "not a capture of Ethernet frames");
	return 0;
}

/* Everything about the input that can be wrong, before anything is written. */
static int open_input(struct job *job, const struct options *options)
{
	int length;

	if (options->pcap)
		return open_capture(job, options->pcap);
	length = parse_hex(options->hex, job->frame, sizeof(job->frame));
	if (length < 0)
		return out_usage("--hex", "one frame in hexadecimal digits, whole octets");
	job->frame_length = (size_t)length;
	return 0;
}

/* Opening the output empties it, and the capture with it if both are one file by whatever names. */
static bool is_input(const struct job *job, const char *path)
{
	struct stat input, output;

	return job->capture && !fstat(fileno(pcap_file(job->capture)), &input) &&
	       !stat(path, &output) && input.st_dev == output.st_dev &&
	       input.st_ino == output.st_ino;
}

static int check_output(const struct job *job, const char *path)
{
	if (!path)
		return 0;
	if (!strcmp(path, "-"))
		return out_usage("--out -", "a file: stdout has the verdicts");
	if (is_input(job, path))
		return out_usage(path, "--out would overwrite the capture that --pcap reads");
	return 0;
}

static int open_output(struct job *job, const char *path)
{
	job->shape = pcap_open_dead(DLT_EN10MB, 65535);
	if (!job->shape)
		return file_failed(path, "no memory");
	job->dump = pcap_dump_open(job->shape, path);
	return job->dump ? 0 : file_failed(path, pcap_geterr(job->shape));
}

static int trace_capture(struct job *job, const char *path)
{
	struct pcap_pkthdr *header;
	const u_char *frame;
	int got;

	while ((got = pcap_next_ex(job->capture, &header, &frame)) == 1)
		trace_frame(job, frame, header->caplen);
	return got == PCAP_ERROR ? file_failed(path, pcap_geterr(job->capture)) : 0;
}

static int trace_all(struct job *job, const struct options *options)
{
	static const char *const headings[] = { ">packet", "verdict", "reason", ">config",
						"vip",	   "server",  ">octets" };
	int status = options->out ? open_output(job, options->out) : 0;

	if (status)
		return status;
	job->table = out_table_begin(7, headings);
	if (job->capture)
		status = trace_capture(job, options->pcap);
	else
		trace_frame(job, job->frame, job->frame_length);
	out_table_end(job->table);
	if (job->dump && (pcap_dump_flush(job->dump) || ferror(pcap_dump_file(job->dump))) &&
	    !status)
		status = file_failed(options->out, "cannot be written");
	return status || !job->failed ? status : 1;
}

static void close_job(struct job *job)
{
	trace_close(job->trace);
	if (job->dump)
		pcap_dump_close(job->dump);
	if (job->shape)
		pcap_close(job->shape);
	if (job->capture)
		pcap_close(job->capture);
}

static int run(const struct cli_common *common, const void *opaque, int argc, char **argv)
{
	const struct options *options = opaque;
	enum tier tier = options->tier ? tier_by_name(options->tier) : TIER_DRIVER;
	struct config *config = NULL;
	struct reason reason = {};
	struct job job = { .known = options->known };
	uint32_t ifindex = 0;
	int status;

	(void)argc;
	(void)argv;
	if (tier == TIER_NONE)
		return out_usage(options->tier, "-t takes offload, driver, generic or userspace");
	if (options->known && tier != TIER_OFFLOAD)
		return out_usage("--known",
				 "is for -t offload: the other tiers decode by themselves");
	if (!options->hex == !options->pcap)
		return out_usage("trace", "give either --hex or --pcap");
	if (options->dev && !(ifindex = if_nametoindex(options->dev))) {
		reason_set(&reason, REASON_NO_INTERFACE, "interface", errno, "%s", options->dev);
		return out_fail(&reason);
	}
	status = open_input(&job, options);
	if (!status)
		status = check_output(&job, options->out);
	if (!status)
		status = report_load(common->config, &config);
	if (!status && trace_open(tier, config, ifindex, &job.trace, &reason))
		status = out_fail(&reason);
	if (!status)
		status = trace_all(&job, options);
	close_job(&job);
	config_free(config);
	return status;
}

static const struct cli_option option_table[] = {
	{ 't', "tier", CLI_STRING, offsetof(struct options, tier), "TIER",
	  "offload, driver (default), generic or userspace" },
	{ 0, "hex", CLI_STRING, offsetof(struct options, hex), "HEX", "one frame" },
	{ 0, "pcap", CLI_STRING, offsetof(struct options, pcap), "FILE",
	  "a capture (pcap, pcapng)" },
	{ 0, "out", CLI_STRING, offsetof(struct options, out), "FILE",
	  "the frames as they leave, as a capture" },
	{ 0, "known", CLI_FLAG, offsetof(struct options, known), NULL,
	  "offload: the card knows every encrypted CID that names a server" },
	{ 0, "dev", CLI_STRING, offsetof(struct options, dev), "IFACE",
	  "find next hops as if attached here" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_trace = {
	.name = "trace",
	.arguments = "(--hex HEX | --pcap FILE)",
	.summary = "run packets through a tier's real program, attached nowhere",
	.details =
		"Loads a private copy of the program and of the maps, filled from the file, and runs each\n"
		"frame by BPF_PROG_TEST_RUN. Prints the verdict and the reason (loader help reasons). With\n"
		"--json one object a packet. Without --dev every server counts as reachable on the link the\n"
		"frame came in by, behind the MAC address 02:00:00:00:HH:LL of its number.\n"
		"The tier userspace has no program: the frame goes the way it would have in loader run, which sends\n"
		"a datagram's fragments on when it has enough of them (the last one is what is shown).\n"
		"A card passes encrypted CIDs unless loader run has told it of them: --known does that.",
	.options = option_table,
	.options_size = sizeof(struct options),
	.run = run,
};
