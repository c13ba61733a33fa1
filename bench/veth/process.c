/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Balancers that are processes: the loader's service with the user-space tier alone, and nginx.
 */
#include <errno.h>
#include <jansson.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/control.h"
#include "veth/street.h"

#define READY_WITHIN 10000 /* ms */
#define NGINX	     "/usr/sbin/nginx"
#define NGINX_STREAM "/usr/lib/nginx/modules/ngx_stream_module.so"

/* What nobody but the process takes then goes nowhere, instead of being routed on by the kernel. */
static const char no_way[] = "route del 192.0.2.0/24\n";
static const char way[] = "route add 192.0.2.0/24 via 10.9.9.2 dev far0\n";
/* nginx has sockets, so the VIP has to be an address of its machine. */
static const char vip[] = "addr add 192.0.2.80/32 dev far0\n";
static const char no_vip[] = "addr del 192.0.2.80/32 dev far0\n";

/* One process, so that its CPU time is all of it. A client keeps its socket as long as a round takes. */
static const char nginx_file[] = "load_module " NGINX_STREAM ";\n"
				 "daemon off;\n"
				 "master_process off;\n"
				 "pid nginx.pid;\n"
				 "error_log stderr error;\n"
				 "events { worker_connections 8192; }\n"
				 "stream {\n"
				 "  server {\n"
				 "    listen 192.0.2.80:443 udp;\n"
				 "    proxy_pass 10.1.0.1:4433;\n"
				 "    proxy_timeout 60s;\n"
				 "  }\n"
				 "}\n";

static void write_service(FILE *file, const struct veth_case *what)
{
	bed_write_file(file, what->bed);
	fprintf(file, "interfaces:\n"
		      "  - { name: far0, tier: userspace }\n");
}

static int write_file(const char *path, const struct veth_case *what)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	if (what->place == PLACE_SERVICE)
		write_service(file, what);
	else
		fputs(nginx_file, file);
	return fclose(file) ? -errno : 0;
}

/* A socket for each client, which a login's limit may not allow. */
static void allow_sockets(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* What is sent before it listens is lost; a frame that comes back says that it does. */
static int wait_ready(const struct street *street, const struct place *place)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	uint64_t before = ends_met(&street->ends, -1);
	int error = 0;

	for (int waited = 0; waited < READY_WITHIN && !error; waited += 5) {
		siginfo_t ended = {};

		if (waitid(P_PID, (id_t)place->process, &ended, WEXITED | WNOHANG | WNOWAIT) ||
		    ended.si_pid)
			return -ECANCELED;
		error = feed_one(street, &place->span);
		nanosleep(&pause, NULL);
		if (ends_met(&street->ends, -1) != before)
			return error;
	}
	return error ? error : -ETIMEDOUT;
}

static bool is_here(const struct street *street, const struct veth_case *what)
{
	if (what->place == PLACE_SERVICE)
		return !access(street->at.loader, X_OK);
	return !access(NGINX, X_OK) && !access(NGINX_STREAM, R_OK);
}

static int start(const struct street *street, struct place *place)
{
	char file[64], folder[40], *loader = (char *)street->at.loader;
	char *service[] = { loader, "run", "-q", "-c", file, NULL };
	char *nginx[] = { NGINX, "-e", "stderr", "-p", folder, "-c", file, NULL };
	bool is_service = place->what->place == PLACE_SERVICE;
	int error;

	snprintf(folder, sizeof(folder), "%s/", street->at.folder);
	snprintf(file, sizeof(file), "%s%s", folder, is_service ? "shunt.yaml" : "nginx.conf");
	error = write_file(file, place->what);
	if (!error)
		error = net_command("ip -batch -", is_service ? no_way : vip);
	/* It stays where its time is counted: on a core of its own, if there is one. */
	if (!error)
		error = spin_stay(street->cpus[street->n_cpus - 1]);
	if (error)
		return error;
	allow_sockets();
	place->process = command_start(is_service ? service : nginx);
	error = place->process < 0 ? -errno : spin_stay(street->cpus[0]);
	return error ? error : wait_ready(street, place);
}

/* Packets of the user-space tier by connection ID, and all that it has met. */
static int count(const json_t *document, uint64_t *by_cid, uint64_t *all)
{
	json_int_t cid, total;

	/* There is no other tier. */
	if (json_unpack((json_t *)document, "{s:[{s:{s:I}, s:{s:{s:I}}}]}", "tiers", "total",
			"packets", &total, "reasons", "cid", "packets", &cid))
		return -EPROTO;
	*by_cid = (uint64_t)cid;
	*all = (uint64_t)total;
	return 0;
}

/* What it has counted it brings into its maps at its end at the latest, and they stay until they are detached. */
static int check_service(const struct street *street, uint64_t met)
{
	char command[PATH_MAX + 32];
	json_t *document;
	uint64_t by_cid, all;
	FILE *stats;
	int error;

	snprintf(command, sizeof(command), "'%s' stats far0 --json", street->at.loader);
	stats = popen(command, "re");
	if (!stats)
		return -errno;
	document = json_loadf(stats, 0, NULL);
	pclose(stats);
	error = document ? count(document, &by_cid, &all) : -EPROTO;
	json_decref(document);
	return error || (by_cid == all && by_cid >= met) ? error : -EPROTO;
}

int process_start(const struct street *street, struct place *place)
{
	return is_here(street, place->what) ? start(street, place) : -ENOENT;
}

int process_end(const struct street *street, const struct place *place)
{
	char *loader = (char *)street->at.loader;
	char *detach[] = { loader, "detach", "-q", "far0", NULL };
	struct command_cost cost;
	int error = 0;

	command_end(place->process);
	if (place->what->place == PLACE_NGINX) {
		net_command("ip -batch -", no_vip);
		return 0;
	}
	if (place->met)
		error = check_service(street, place->met);
	command_run(detach, &cost);
	net_command("ip -batch -", way);
	return error;
}
