/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* quic-load: puts load on one QUIC server and prints as one JSON document what it bore. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <ngtcp2/ngtcp2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "../../hwtests/quic/tls.h"
#include "load.h"

enum {
	EXIT_USAGE = 2,
	MAX_CONNECTIONS = 1000,
	MAX_SECONDS = 3600,
	MAX_RATE = 1000000,
};

static const char usage[] =
	"usage: quic-load --from ADDR --to ADDR:PORT --trust FILE KIND [OPTION...]\n"
	"  KIND                connections: handshake, one request, close, again and again;\n"
	"                      download, upload: one body without end on each connection;\n"
	"                      requests: small ones at a fixed rate, over connections that stay\n"
	"  --from ADDR         of this host; IPv6 as [ADDR]\n"
	"  --to ADDR:PORT      the server\n"
	"  --trust FILE        PEM certificate that the server must show\n"
	"  --name NAME         and the name in it (default vip.test)\n"
	"  --connections N     at a time (default 8)\n"
	"  --seconds S         of what counts (default 1)\n"
	"  --warmup S          before that (default 0.1)\n"
	"  --rate N            requests a second (default 1000)\n";

static const char *const kinds[] = {
	[LOAD_CONNECTIONS] = "connections",
	[LOAD_DOWNLOAD] = "download",
	[LOAD_UPLOAD] = "upload",
	[LOAD_REQUESTS] = "requests",
};

enum option_id {
	OPT_FROM = 256,
	OPT_TO,
	OPT_TRUST,
	OPT_NAME,
	OPT_CONNECTIONS,
	OPT_SECONDS,
	OPT_WARMUP,
	OPT_RATE,
	OPT_HELP,
};

static const struct option options[] = {
	{ "from", required_argument, NULL, OPT_FROM },
	{ "to", required_argument, NULL, OPT_TO },
	{ "trust", required_argument, NULL, OPT_TRUST },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "warmup", required_argument, NULL, OPT_WARMUP },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static _Noreturn void usage_error(const char *what, const char *value, const char *remedy)
{
	fprintf(stderr, "quic-load: %s%s%s: %s\n", what, value ? " " : "", value ? value : "",
		remedy);
	exit(EXIT_USAGE);
}

static double number(const char *what, const char *text, double min, double max)
{
	char remedy[64], *end;
	double n = strtod(text, &end);

	if (*end || *text < '0' || *text > '9' || !(n >= min && n <= max)) {
		snprintf(remedy, sizeof(remedy), "give a number from %g to %g", min, max);
		usage_error(what, text, remedy);
	}
	return n;
}

static void set_address(const char *what, const char *text, union address *address, socklen_t *len)
{
	const char *wrong = udp_parse(text, address, len);

	if (wrong)
		usage_error(what, text, wrong);
}

static void set_from(struct plan *plan, const char *text)
{
	char with_port[64];

	/* Each connection has a port of its own. */
	snprintf(with_port, sizeof(with_port), "%s:0", text);
	set_address("--from", with_port, &plan->from, &plan->from_len);
}

static void set_option(struct plan *plan, int opt, const char *value)
{
	switch (opt) {
	case OPT_FROM:
		set_from(plan, value);
		break;
	case OPT_TO:
		set_address("--to", value, &plan->to, &plan->to_len);
		break;
	case OPT_TRUST:
		plan->trust = value;
		break;
	case OPT_NAME:
		plan->name = value;
		break;
	case OPT_CONNECTIONS:
		plan->connections = (uint32_t)number("--connections", value, 1, MAX_CONNECTIONS);
		break;
	case OPT_SECONDS:
		plan->duration = (uint64_t)(number("--seconds", value, 0.01, MAX_SECONDS) * 1e9);
		break;
	case OPT_WARMUP:
		plan->warmup = (uint64_t)(number("--warmup", value, 0, MAX_SECONDS) * 1e9);
		break;
	case OPT_RATE:
		plan->interval = (uint64_t)(1e9 / number("--rate", value, 1, MAX_RATE));
		break;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(EXIT_SUCCESS);
	default:
		/* getopt_long has said what is wrong. */
		fputs(usage, stderr);
		exit(EXIT_USAGE);
	}
}

static void set_kind(struct plan *plan, const char *word)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(word, kinds[i])) {
			plan->kind = (enum load_kind)i;
			return;
		}
	}
	usage_error("KIND", word, "give connections, download, upload or requests");
}

static void parse(struct plan *plan, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(plan, opt, optarg);
	if (optind + 1 != argc)
		usage_error("KIND", NULL, "give one; see --help");
	set_kind(plan, argv[optind]);
	if (!plan->from_len || !plan->to_len)
		usage_error("no address", NULL, "give --from ADDR and --to ADDR:PORT");
	if (plan->from.sa.sa_family != plan->to.sa.sa_family)
		usage_error("--from", NULL, "give an address of the family of --to");
	if (!plan->trust)
		usage_error("no certificate", NULL, "give --trust FILE");
}

/* 0 or -1 after one line on standard error. */
static int set_up_tls(struct load *load)
{
	int rc = gnutls_priority_init2(&load->priority, tls_priority, NULL, 0);

	if (!rc)
		rc = gnutls_certificate_allocate_credentials(&load->credentials);
	if (!rc) {
		rc = gnutls_certificate_set_x509_trust_file(load->credentials, load->plan.trust,
							    GNUTLS_X509_FMT_PEM);
		rc = rc < 0 ? rc : 0;
	}
	if (rc)
		fprintf(stderr, "quic-load: %s: %s\n", load->plan.trust, gnutls_strerror(rc));
	return rc ? -1 : 0;
}

static double microseconds(const struct samples *samples, double which)
{
	return (double)samples_quantile(samples, which) / 1e3;
}

static double processor_seconds(void)
{
	struct rusage used = { 0 };

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void print_result(struct load *load)
{
	struct samples *samples = &load->samples;

	samples_sort(samples);
	printf("{\"schema\": \"shunt/quic-load/1\", \"kind\": \"%s\", \"seconds\": %.3f, "
	       "\"started\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"failed\": %" PRIu64
	       ", \"why\": \"%s\", \"counted\": %" PRIu64 ", \"octets\": %" PRIu64
	       ", \"moved\": %" PRIu64
	       ", \"cpu_seconds\": %.3f, \"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, "
	       "\"p99\": %.1f, \"max\": %.1f}}\n",
	       kinds[load->plan.kind], (double)load->plan.duration / 1e9, load->started, load->done,
	       load->failed, load->why ? load->why : "", load->counted, load->octets, load->moved,
	       processor_seconds(), microseconds(samples, 0.5), microseconds(samples, 0.9),
	       microseconds(samples, 0.99), microseconds(samples, 1));
}

int main(int argc, char **argv)
{
	static struct load load = {
		.plan = { .name = "vip.test",
			  .connections = 8,
			  .warmup = 100 * NGTCP2_MILLISECONDS,
			  .duration = NGTCP2_SECONDS,
			  .interval = NGTCP2_MILLISECONDS },
	};
	int rc;

	parse(&load.plan, argc, argv);
	rc = set_up_tls(&load);
	if (!rc)
		rc = load_run(&load);
	if (!rc)
		print_result(&load);
	free(load.samples.list);
	if (load.credentials)
		gnutls_certificate_free_credentials(load.credentials);
	if (load.priority)
		gnutls_priority_deinit(load.priority);
	return rc || load.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
