/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reads the options and starts the server. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "ready.h"
#include "server.h"

enum {
	EXIT_USAGE = 2,
	DEFAULT_IDLE_SECONDS = 30,
	DEFAULT_NONCE_LEN = 8,
	MAX_IDLE_SECONDS = 86400,
};

static const char usage[] =
	"usage: quic-server --listen ADDR:PORT... --cert FILE --key FILE --name NAME [OPTION...]\n"
	"  --listen ADDR:PORT       bind this address; IPv6 as [ADDR]:PORT; port 0: any free one\n"
	"  --cert FILE, --key FILE  PEM certificate and private key\n"
	"  --name NAME              this server's name: letters, digits, '.', '_', '-'\n"
	"  --config-id N            QUIC-LB configuration 0 to 6 (default: none, first octet 7);\n"
	"                           again for more, of which the first is active; each with its own:\n"
	"  --server-id HEX            this server's ID, 1 to 15 octets\n"
	"  --nonce-length N           4 to 18 octets (default 8)\n"
	"  --key-file FILE            16 octets or 32 digits; without it IDs are in clear\n"
	"  --worker HEX               octets to append, masked, with --key-file\n"
	"  --cid-file FILE          the configurations instead, read again on SIGHUP; lines\n"
	"                           CONFIG-ID SERVER-ID NONCE-LENGTH KEY-FILE|- active|retiring\n"
	"  --describe-length        the first octet tells the length (default)\n"
	"  --no-length              the first octet's low five bits are random\n"
	"  --retry                  answer every Initial without a token with Retry\n"
	"  --secret-file FILE       32 or more octets, the same at all servers of one address\n"
	"  --log FILE               append the events there (default: standard output)\n"
	"  --ready-fd N             write READY=1 there when the sockets are bound\n"
	"  --idle-timeout SECONDS   default 30\n"
	"  --initial-rtt SECONDS    believed until measured, and packets are paced by it (default 0.333)\n"
	"  --help\n";

enum option_id {
	OPT_LISTEN = 256,
	OPT_CERT,
	OPT_KEY,
	OPT_NAME,
	OPT_CONFIG_ID,
	OPT_SERVER_ID,
	OPT_NONCE_LENGTH,
	OPT_KEY_FILE,
	OPT_WORKER,
	OPT_CID_FILE,
	OPT_DESCRIBE_LENGTH,
	OPT_NO_LENGTH,
	OPT_RETRY,
	OPT_SECRET_FILE,
	OPT_LOG,
	OPT_READY_FD,
	OPT_IDLE_TIMEOUT,
	OPT_INITIAL_RTT,
	OPT_HELP,
};

static const struct option options[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "config-id", required_argument, NULL, OPT_CONFIG_ID },
	{ "server-id", required_argument, NULL, OPT_SERVER_ID },
	{ "nonce-length", required_argument, NULL, OPT_NONCE_LENGTH },
	{ "key-file", required_argument, NULL, OPT_KEY_FILE },
	{ "worker", required_argument, NULL, OPT_WORKER },
	{ "cid-file", required_argument, NULL, OPT_CID_FILE },
	{ "describe-length", no_argument, NULL, OPT_DESCRIBE_LENGTH },
	{ "no-length", no_argument, NULL, OPT_NO_LENGTH },
	{ "retry", no_argument, NULL, OPT_RETRY },
	{ "secret-file", required_argument, NULL, OPT_SECRET_FILE },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
	{ "initial-rtt", required_argument, NULL, OPT_INITIAL_RTT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct arguments {
	const char *cert, *key, *secret_file, *log;
	struct cid_configs cids;
	int ready_fd;
};

static _Noreturn void usage_error(const char *what, const char *value, const char *remedy)
{
	fprintf(stderr, "quic-server: %s%s%s: %s\n", what, value ? " " : "", value ? value : "",
		remedy);
	exit(EXIT_USAGE);
}

static unsigned long number(const char *what, const char *text, unsigned long min,
			    unsigned long max)
{
	char remedy[64];
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || n < min || n > max) {
		snprintf(remedy, sizeof(remedy), "give a number from %lu to %lu", min, max);
		usage_error(what, text, remedy);
	}
	return n;
}

/* Seconds, perhaps with a fraction, in nanoseconds. */
static uint64_t seconds(const char *what, const char *text)
{
	char *end;
	double n = strtod(text, &end);

	if (*end || *text < '0' || *text > '9' || !(n >= 0.001 && n <= MAX_IDLE_SECONDS))
		usage_error(what, text, "give a number of seconds from 0.001 to 86400");
	return (uint64_t)(n * 1e9);
}

static void add_config(struct cid_configs *cids, const char *text)
{
	struct cid_config config = { .lib.nonce_length = DEFAULT_NONCE_LEN };

	config.lib.config_id = (uint8_t)number("--config-id", text, 0, CID_CONFIGS - 1);
	for (size_t i = 0; i < cids->n; i++) {
		if (cids->list[i].lib.config_id == config.lib.config_id)
			usage_error("--config-id", text, "give each configuration once");
	}
	config.retiring = cids->n > 0;
	cids->list[cids->n++] = config;
}

/* The configuration that an option is about. */
static struct cid_config *last_config(struct cid_configs *cids, const char *what)
{
	if (!cids->n)
		usage_error(what, NULL, "give --config-id before it");
	return &cids->list[cids->n - 1];
}

static void set_cid_option(struct cid_configs *cids, int opt, const char *value)
{
	struct cid_config *config;

	switch (opt) {
	case OPT_SERVER_ID:
		config = last_config(cids, "--server-id");
		config->lib.server_id_length =
			(uint8_t)cid_unhex(value, config->lib.server_id, SHUNT_CID_MAX_SERVER_ID);
		if (!config->lib.server_id_length)
			usage_error("--server-id", value, "give 1 to 15 octets in hexadecimal");
		break;
	case OPT_NONCE_LENGTH:
		if (cids->n)
			last_config(cids, "")->lib.nonce_length =
				(uint8_t)number("--nonce-length", value, 4, 18);
		else
			cids->random_length = (uint8_t)number("--nonce-length", value, 7, 19);
		break;
	case OPT_KEY_FILE:
		config = last_config(cids, "--key-file");
		if (!*value || strlen(value) >= sizeof(config->key_file))
			usage_error("--key-file", value, "give a path of less than 256 characters");
		strcpy(config->key_file, value);
		break;
	case OPT_WORKER:
		config = last_config(cids, "--worker");
		config->lib.worker_length =
			(uint8_t)cid_unhex(value, config->lib.worker, SHUNT_CID_MAX_WORKER);
		if (!config->lib.worker_length)
			usage_error("--worker", value, "give 1 to 4 octets in hexadecimal");
		break;
	}
}

static void add_listen(struct server *srv, const char *text)
{
	const char *wrong;

	if (srv->nudp == MAX_LISTEN)
		usage_error("--listen", text, "give at most 16 addresses");
	wrong = udp_parse(text, &srv->udp[srv->nudp].local, &srv->udp[srv->nudp].local_len);
	if (wrong)
		usage_error("--listen", text, wrong);
	srv->udp[srv->nudp++].fd = -1;
}

static void set_name(struct server *srv, const char *text)
{
	/* The name goes into a header, a page and the log: no character needs quoting in any. */
	if (!*text || strlen(text) > 64 ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
		    strlen(text))
		usage_error("--name", text, "give 1 to 64 letters, digits, '.', '_' or '-'");
	srv->name = text;
}

static void set_option(struct server *srv, struct arguments *args, int opt, const char *value)
{
	switch (opt) {
	case OPT_LISTEN:
		add_listen(srv, value);
		break;
	case OPT_CERT:
		args->cert = value;
		break;
	case OPT_KEY:
		args->key = value;
		break;
	case OPT_NAME:
		set_name(srv, value);
		break;
	case OPT_CONFIG_ID:
		add_config(&args->cids, value);
		break;
	case OPT_SERVER_ID:
	case OPT_NONCE_LENGTH:
	case OPT_KEY_FILE:
	case OPT_WORKER:
		set_cid_option(&args->cids, opt, value);
		break;
	case OPT_CID_FILE:
		srv->cid_file = value;
		break;
	case OPT_DESCRIBE_LENGTH:
		srv->cid_flags = SHUNT_CID_DESCRIBE_LENGTH;
		break;
	case OPT_NO_LENGTH:
		srv->cid_flags = 0;
		break;
	case OPT_RETRY:
		srv->retry = true;
		break;
	case OPT_SECRET_FILE:
		args->secret_file = value;
		break;
	case OPT_LOG:
		args->log = value;
		break;
	case OPT_READY_FD:
		args->ready_fd = (int)number("--ready-fd", value, 0, 1 << 20);
		break;
	case OPT_IDLE_TIMEOUT:
		srv->idle_timeout = seconds("--idle-timeout", value);
		break;
	case OPT_INITIAL_RTT:
		srv->initial_rtt = seconds("--initial-rtt", value);
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

static void set_cids(struct server *srv, struct cid_configs *wanted)
{
	char why[CID_WHY];

	if (srv->cid_file && wanted->n)
		usage_error("--cid-file", NULL, "it takes the place of --config-id: give only one");
	if (!srv->cid_file && !wanted->n && !srv->cid_flags)
		usage_error("--no-length", NULL,
			    "without --config-id the length must be described");
	for (size_t i = 0; i < wanted->n; i++)
		wanted->list[i].lib.flags = srv->cid_flags;
	if ((srv->cid_file && cid_file_read(srv->cid_file, srv->cid_flags, wanted, why)) ||
	    cids_apply(&srv->cids, wanted, why))
		usage_error("connection IDs", NULL, why);
}

static void parse(struct server *srv, struct arguments *args, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(srv, args, opt, optarg);
	if (optind < argc)
		usage_error("argument", argv[optind], "every option begins with --; see --help");
	if (!srv->nudp)
		usage_error("no address", NULL, "give --listen ADDR:PORT");
	if (!args->cert || !args->key)
		usage_error("no certificate", NULL, "give --cert FILE and --key FILE");
	if (!srv->name)
		usage_error("no name", NULL, "give --name NAME");
	set_cids(srv, &args->cids);
}

static int open_sockets(struct server *srv)
{
	for (size_t i = 0; i < srv->nudp; i++) {
		int rc = udp_open(&srv->udp[i]);

		if (rc) {
			fprintf(stderr,
				"quic-server: cannot bind a UDP socket: %s: give --listen a free "
				"port on an address of this host\n",
				strerror(-rc));
			return -1;
		}
		log_begin("listen");
		log_addr("address", &srv->udp[i].local.sa);
		server_log_active(srv);
		log_end();
	}
	return 0;
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A reader of the log that goes away must not take the server with it. */
	signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
	static struct server srv;
	struct arguments args = { .ready_fd = -1, .cids.random_length = DEFAULT_NONCE_LEN };
	int rc = EXIT_FAILURE;

	srv.cid_flags = SHUNT_CID_DESCRIBE_LENGTH;
	srv.idle_timeout = DEFAULT_IDLE_SECONDS * NGTCP2_SECONDS;
	srv.initial_rtt = NGTCP2_DEFAULT_INITIAL_RTT;
	LIST_INIT(&srv.conns);
	parse(&srv, &args, argc, argv);

	block_signals();
	if (log_open(args.log, srv.name)) {
		cids_close(&srv.cids);
		return EXIT_FAILURE;
	}
	srv.map = cidmap_new();
	if (!srv.map) {
		fprintf(stderr, "quic-server: out of memory: leave it some megabytes\n");
		goto out;
	}
	if (tls_setup(&srv.tls, args.cert, args.key, args.secret_file) || open_sockets(&srv) ||
	    say_ready(args.ready_fd))
		goto out;
	rc = server_run(&srv) ? EXIT_FAILURE : EXIT_SUCCESS;
out:
	for (size_t i = 0; i < srv.nudp; i++)
		udp_close(&srv.udp[i]);
	tls_cleanup(&srv.tls);
	timer_heap_free(&srv.timers);
	cidmap_free(srv.map);
	cids_close(&srv.cids);
	log_close();
	return rc;
}
