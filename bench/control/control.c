/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What it costs to control the data path: probe, load, attach, apply, and the memory of service and maps.
 */
#include "control/control.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "object.h"
#include "plan.h"
#include "results.h"
#include "workplace.h"

struct desk {
	struct workplace at;
	char file[64];
	struct control *control;
};

static int desk_reason(struct reason *reason, int error, const char *what)
{
	return reason_set(reason, REASON_UNKNOWN, "control", -error, "%s", what);
}

static struct control_figure *add(struct desk *desk, const char *text, const char *unit,
				  double at_most)
{
	struct control_figure *figure = &desk->control->list[desk->control->n++];

	*figure = (struct control_figure){ .unit = unit, .at_most = at_most };
	snprintf(figure->text, sizeof(figure->text), "%s", text);
	return figure;
}

/* The lowest of all rounds: what else runs on the machine only ever adds. */
static void keep_lowest(struct control_figure *figure, const struct command_cost *cost)
{
	if (figure->value > 0 && figure->value <= cost->wall)
		return;
	figure->value = cost->wall;
	figure->cpu = cost->cpu;
}

static int loader(const struct desk *desk, const char *command, const char *interface,
		  struct command_cost *cost)
{
	char *arguments[] = { (char *)desk->at.loader, (char *)command,	  "-q", "-c",
			      (char *)desk->file,      (char *)interface, NULL };

	return command_run(arguments, cost);
}

/* ------------------------------------------------------------------ in this process */

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* What a map takes, as the kernel says. */
static double map_octets(const struct bpf_map *map)
{
	char path[64], line[128];
	unsigned long long octets = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &octets) == 1)
			break;
	if (file)
		fclose(file);
	return (double)octets;
}

/* The driver's program and maps, as large as a file says that gives no limits. */
static int load_default(struct desk *desk, uint32_t flows, double aim_load, double aim_memory,
			struct reason *reason)
{
	const struct config_limits limits = { .servers = LB_DEFAULT_SERVERS,
					      .server_ids = LB_DEFAULT_SERVER_IDS,
					      .vips = LB_DEFAULT_VIPS,
					      .pools = LB_DEFAULT_POOLS,
					      .known_cids = LB_DEFAULT_KNOWN_CIDS,
					      .flows = flows,
					      .cached_cids = LB_DEFAULT_CACHED };
	const struct plan_sizes sizes = plan_sizes(&limits, LB_DEFAULT_ROWS);
	struct control_figure *memory, *load;
	struct bpf_object *object;
	struct bpf_map *map;
	double octets = 0;
	char text[80];
	int program, error = 0;

	snprintf(text, sizeof(text), "the driver's program and maps, %u flows, into the kernel",
		 flows);
	load = add(desk, text, "ms", aim_load);
	for (uint32_t i = 0; i < desk->control->rounds && !error; i++) {
		struct object_request request = { .tier = TIER_DRIVER, .sizes = &sizes };
		struct command_cost cost = { .wall = now_ms() };

		error = object_load(&request, &object, &program, reason);
		if (error)
			break;
		cost.wall = now_ms() - cost.wall;
		keep_lowest(load, &cost);
		octets = 0;
		bpf_object__for_each_map(map, object)
			octets += map_octets(map);
		bpf_object__close(object);
	}
	if (error)
		return error;
	snprintf(text, sizeof(text), "all maps of a tier, default limits, %u flows", flows);
	memory = add(desk, text, "MiB", aim_memory);
	memory->value = octets / (1 << 20);
	return 0;
}

/* ------------------------------------------------------------------ commands */

static int time_attach(struct desk *desk, struct reason *reason)
{
	const struct control_file file = { 10, LB_DEFAULT_FLOWS, UINT32_MAX, true };
	struct control_figure *probe = add(desk, "loader probe", "ms", 1000);
	struct control_figure *attach =
		add(desk, "loader attach: program, maps, TC, file of 10 servers", "ms", 0);
	struct command_cost cost;
	int error = control_file_write(desk->at.folder, &file);

	for (uint32_t i = 0; i < desk->control->rounds && !error; i++) {
		error = loader(desk, "probe", "far0", &cost);
		if (!error)
			keep_lowest(probe, &cost);
		if (!error)
			error = loader(desk, "attach", "far0", &cost);
		if (!error)
			keep_lowest(attach, &cost);
		if (!error)
			error = loader(desk, "detach", "far0", &cost);
	}
	return error ? desk_reason(reason, error, "loader attach") : 0;
}

/* One server's weight changes in each round, so there is always something to write. */
static int time_changes(struct desk *desk, struct control_file *file, struct control_figure *figure)
{
	struct command_cost cost;
	int error = 0;

	for (uint32_t i = 0; i < desk->control->rounds && !error; i++) {
		file->changed = i % file->servers;
		error = control_file_write(desk->at.folder, file);
		if (!error)
			error = loader(desk, "apply", NULL, &cost);
		if (!error)
			keep_lowest(figure, &cost);
	}
	return error;
}

static int time_apply(struct desk *desk, uint32_t servers, struct reason *reason)
{
	struct control_file file = { servers, 0, UINT32_MAX, false };
	struct control_figure *first, *change;
	struct command_cost cost;
	char text[80];
	int error = control_file_write(desk->at.folder, &file);

	snprintf(text, sizeof(text), "loader attach: %u servers, 7 configs", servers);
	first = add(desk, text, "ms", 0);
	snprintf(text, sizeof(text), "loader apply: one server of %u changed", servers);
	change = add(desk, text, "ms", servers == 10000 ? 100 : 0);
	if (!error)
		error = loader(desk, "attach", "far0", &cost);
	if (!error) {
		keep_lowest(first, &cost);
		error = time_changes(desk, &file, change);
	}
	if (!error)
		error = loader(desk, "detach", "far0", &cost);
	return error ? desk_reason(reason, error, text) : 0;
}

static double resident(pid_t pid)
{
	char path[64], line[128];
	unsigned long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %lu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return (double)kib / 1024;
}

static int weigh_service(struct desk *desk, uint32_t servers, struct reason *reason)
{
	const struct control_file file = { servers, 0, UINT32_MAX, false };
	char *arguments[] = { desk->at.loader, "run", "-q", "-c", desk->file, NULL };
	struct command_cost cost;
	char text[80];
	pid_t pid;
	int error = control_file_write(desk->at.folder, &file);

	snprintf(text, sizeof(text), "loader run: resident, %u servers", servers);
	if (!error)
		error = command_start_service(desk->at.folder, arguments, &pid);
	if (error)
		return desk_reason(reason, error, text);
	add(desk, text, "MiB", 0)->value = resident(pid);
	command_end(pid);
	error = loader(desk, "detach", "far0", &cost);
	return error ? desk_reason(reason, error, text) : 0;
}

int control_measure(struct control *control, struct reason *reason)
{
	static const uint32_t servers[] = { 10, 1000, 10000 };
	struct desk desk = { .control = control };
	int error = workplace_open(&desk.at, reason);

	snprintf(desk.file, sizeof(desk.file), "%s/shunt.yaml", desk.at.folder);
	if (!error)
		error = load_default(&desk, LB_DEFAULT_FLOWS, 150, 160, reason);
	if (!error)
		error = load_default(&desk, 0, 0, 16, reason);
	if (!error)
		error = time_attach(&desk, reason);
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]) && !error; i++)
		error = time_apply(&desk, servers[i], reason);
	if (!error)
		error = weigh_service(&desk, 1000, reason);
	if (!error)
		error = weigh_service(&desk, 10000, reason);
	workplace_close(&desk.at);
	return error;
}
