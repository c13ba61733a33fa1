/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bench: what a packet costs in each tier's real program, above a bare XDP_TX.
 */
#include "results.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define ROUNDS	      21
#define PACKETS	      300000
#define QUICK_ROUNDS  9
#define QUICK_PACKETS 200000
#define VETH_FRAMES   200000

struct options {
	uint32_t rounds, packets;
	bool quick, veth, control, size, write_budgets;
	const char *json, *svg, *only, *budgets;
	uint32_t connections;
};

static void usage(FILE *out)
{
	fprintf(out,
		"usage: bench [--quick] [--rounds N] [--packets N] [--only WORD] [--connections N]\n"
		"             [--veth] [--control] [--size] [--budgets FILE] [--write-budgets]\n"
		"             [--json FILE] [--svg FILE]\n"
		"  --quick       %d rounds of %d packets and fewer cases, instead of %d of %d\n"
		"  --rounds N    how often each case is measured\n"
		"  --packets N   packets a batch; one lap of the connections at least\n"
		"  --only WORD   cases whose name holds the word\n"
		"  --connections N   and have so many connections\n"
		"  --veth        live frames through attached programs, too\n"
		"  --control     probe, load, attach, apply and memory, too\n"
		"  --size        what each program takes of the kernel, too; alone, nothing else\n"
		"  --budgets FILE    what it may take, instead of " SIZE_BUDGETS "\n"
		"  --write-budgets   lowers there what is wider than need be\n"
		"  --json FILE   the figures as JSON, too\n"
		"  --svg FILE    and as a picture\n",
		QUICK_ROUNDS, QUICK_PACKETS, ROUNDS, PACKETS);
}

/* 0 if it is no number from 1 on. */
static uint32_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return *end || end == text || *text == '-' || value > 1000000000 ? 0 : (uint32_t)value;
}

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "packets", required_argument, NULL, 'p' },
		{ "only", required_argument, NULL, 'o' },
		{ "connections", required_argument, NULL, 'n' },
		{ "veth", no_argument, NULL, 'v' },
		{ "control", no_argument, NULL, 'c' },
		{ "size", no_argument, NULL, 'z' },
		{ "budgets", required_argument, NULL, 'b' },
		{ "write-budgets", no_argument, NULL, 'w' },
		{ "svg", required_argument, NULL, 's' },
		{ "json", required_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int found;

	while ((found = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (found) {
		case 'q':
			options->quick = true;
			options->rounds = QUICK_ROUNDS;
			options->packets = QUICK_PACKETS;
			break;
		case 'r':
			options->rounds = number(optarg);
			break;
		case 'p':
			options->packets = number(optarg);
			break;
		case 'o':
			options->only = optarg;
			break;
		case 'n':
			options->connections = number(optarg);
			break;
		case 'v':
			options->veth = true;
			break;
		case 'c':
			options->control = true;
			break;
		case 'z':
			options->size = true;
			break;
		case 'b':
			options->budgets = optarg;
			break;
		case 'w':
			options->write_budgets = true;
			break;
		case 's':
			options->svg = optarg;
			break;
		case 'j':
			options->json = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return -1;
		}
	}
	return optind == argc && options->rounds && options->packets ? 0 : -1;
}

/* One CPU for all of it: half of the counters and the cache would be another's after a move. */
static void stay_here(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static int measure_kernel(const struct options *options, struct results *results,
			  struct reason *reason)
{
	cpu_set_t before;
	int error;

	results->kernel.rounds = options->rounds;
	results->kernel.packets = options->packets;
	results->kernel.quick = options->quick;
	sched_getaffinity(0, sizeof(before), &before);
	stay_here();
	results->kernel.connections = options->connections;
	error = measure(&results->kernel, options->only, reason);
	sched_setaffinity(0, sizeof(before), &before);
	return error;
}

/* Half as many rounds: there is a device in between, and each case is a longer way. */
static int measure_veth(const struct options *options, struct results *results,
			struct reason *reason)
{
	cpu_set_t before;
	int error;

	results->veth = calloc(1, sizeof(*results->veth));
	if (!results->veth)
		return reason_set(reason, REASON_UNKNOWN, "veth", ENOMEM, "memory");
	results->veth->rounds = options->quick ? (options->rounds + 2) / 3 :
						 (options->rounds + 1) / 2;
	results->veth->quick = options->quick;
	results->veth->frames = options->packets < VETH_FRAMES ? options->packets : VETH_FRAMES;
	/* It goes to a CPU of its own, where what is measured next need not stay. */
	sched_getaffinity(0, sizeof(before), &before);
	error = veth_measure(results->veth, reason);
	sched_setaffinity(0, sizeof(before), &before);
	return error;
}

static int measure_control(const struct options *options, struct results *results,
			   struct reason *reason)
{
	struct net_pair pair;
	int error;

	results->control = calloc(1, sizeof(*results->control));
	if (!results->control)
		return reason_set(reason, REASON_UNKNOWN, "control", ENOMEM, "memory");
	results->control->rounds = options->quick ? 2 : 5;
	error = net_make_pair(0, &pair, reason);
	return error ? error : control_measure(results->control, reason);
}

static int measure_size(const struct options *options, struct results *results,
			struct reason *reason)
{
	results->sizes = calloc(1, sizeof(*results->sizes));
	if (!results->sizes)
		return reason_set(reason, REASON_UNKNOWN, "size", ENOMEM, "memory");
	results->sizes->rounds = options->quick ? 1 : SIZE_ROUNDS;
	return size_measure(results->sizes, options->budgets, reason);
}

/* What could not be written. */
static int complain(const char *path, int error)
{
	if (error)
		fprintf(stderr, "bench: %s: %s\n", path, strerror(-error));
	return error;
}

static int show(const struct options *options, const struct results *results)
{
	int error = 0;

	report_table(stdout, results);
	if (options->json)
		error = complain(options->json, report_json(options->json, results));
	if (!error && options->svg)
		error = complain(options->svg, chart_svg(options->svg, results));
	if (!error && options->write_budgets && results->sizes)
		error = complain(options->budgets, budgets_write(results->sizes));
	return error;
}

static void free_results(struct results *results)
{
	measure_free(&results->kernel);
	if (results->veth)
		veth_free(results->veth);
	free(results->veth);
	free(results->control);
	free(results->sizes);
}

int main(int argc, char **argv)
{
	struct options options = { .rounds = ROUNDS, .packets = PACKETS, .budgets = SIZE_BUDGETS };
	struct results results = {};
	struct reason reason = {};
	int error;

	if (parse_options(argc, argv, &options)) {
		usage(stderr);
		return 2;
	}
	if (geteuid() != 0) {
		fprintf(stderr, "bench: root is needed, for BPF programs: sudo make bench\n");
		return 4;
	}
	log_init(0);
	error = options.size ? measure_size(&options, &results, &reason) : 0;
	if (!error && (!options.size || options.veth || options.control))
		error = measure_kernel(&options, &results, &reason);
	if (!error && options.veth)
		error = net_open(&reason);
	if (!error && options.veth)
		error = measure_veth(&options, &results, &reason);
	if (!error && options.control)
		error = net_open(&reason);
	if (!error && options.control)
		error = measure_control(&options, &results, &reason);
	if (!error)
		error = show(&options, &results);
	else
		fprintf(stderr, "bench: %s: %s: %s\n", reason.stage ? reason.stage : "measure",
			reason.what, *reason.kernel ? reason.kernel : strerror(-error));
	free_results(&results);
	return error ? 1 : 0;
}
