/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps on a card, and why it has none. See device.h.
 */
#include "device.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fit.h"
#include "kernel_log.h"
#include "log.h"
#include "sync.h"

/* What the maps of an empty balancer need: each half of a table, one counter. */
#define LEAST 2
/* The kernel gives back what closed maps took on a work queue: pauses of 1, 2, 4 ... ms for that. */
#define LONGEST_PAUSE_MS 16

struct maker {
	const struct object_request *request;
	struct bpf_map **maps; /* as in the fit's list */
	struct fit_map *list;
	size_t n;
	int reader; /* of the kernel's log */
	bool leaving; /* closed maps may still be on the card */
};

bool device_gone(uint32_t ifindex)
{
	char name[IF_NAMESIZE];

	return !if_indextoname(ifindex, name);
}

/* Whether it makes maps: then it has an engine, whatever it says to a program. */
static bool has_engine(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_ifindex = ifindex);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "shunt_trial", sizeof(uint32_t),
				sizeof(uint32_t), 1, &opts);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* kernel/bpf/offload.c: EOPNOTSUPP from what has no ndo_bpf, EINVAL from what has no engine. */
static enum reason_code try_reason(uint32_t ifindex, int error)
{
	if (device_gone(ifindex))
		return REASON_DEVICE_GONE;
	switch (error) {
	case EOPNOTSUPP:
		return has_engine(ifindex) ? REASON_OFFLOAD_REFUSED : REASON_NO_NDO_BPF;
	case EINVAL:
		return REASON_NO_OFFLOAD_DEVICE;
	case EPERM:
		return REASON_NO_PERMISSION;
	default:
		return REASON_UNKNOWN;
	}
}

int device_try(const char *interface, uint32_t ifindex, struct reason *reason)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_ifindex = ifindex);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "shunt_trial", "Dual BSD/GPL", pass,
			       sizeof(pass) / sizeof(pass[0]), &opts);
	int error = errno;

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	return reason_set(reason, try_reason(ifindex, error), "prog-load-dev", error, "%s, offload",
			  interface);
}

void device_quote_log(int reader, const char *driver, struct reason *reason)
{
	char line[sizeof(reason->kernel)];

	if (reader < 0)
		reason_set_hint(reason, "the driver tells why in the kernel's log only: dmesg");
	else if (kernel_log_find(reader, driver ? driver : "", line, sizeof(line)))
		reason_set_kernel(reason, line);
}

/* Without BTF, which a card's maps may not have. */
static int make_once(const struct maker *maker, const struct bpf_map *map, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = bpf_map__map_flags(map),
		    .map_ifindex = maker->request->ifindex);
	int fd;

	kernel_log_skip(maker->reader); /* what comes is about this map */
	fd = bpf_map_create(bpf_map__type(map), bpf_map__name(map), bpf_map__key_size(map),
			    bpf_map__value_size(map), entries, &opts);
	return fd < 0 ? -errno : fd;
}

static int make(struct maker *maker, const struct bpf_map *map, uint32_t entries)
{
	int fd = make_once(maker, map, entries);

	for (int ms = 1; fd == -ENOMEM && maker->leaving && ms <= LONGEST_PAUSE_MS; ms *= 2) {
		nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
		fd = make_once(maker, map, entries);
	}
	if (fd == -ENOMEM)
		maker->leaving = false;
	return fd;
}

static void unmake(struct maker *maker, int fd)
{
	close(fd);
	maker->leaving = true;
}

static int try_maps(const struct fit_map *maps, size_t n, size_t *refused, void *context)
{
	struct maker *maker = context;
	int *made = calloc(n, sizeof(*made)), error = made ? 0 : -ENOMEM;
	size_t i;

	*refused = 0;
	for (i = 0; !error && i < n; i++) {
		made[i] = make(maker, maker->maps[&maps[i] - maker->list], maps[i].entries);
		if (made[i] < 0) {
			error = made[i];
			*refused = i;
			break;
		}
	}
	while (made && i--)
		unmake(maker, made[i]);
	free(made);
	return error;
}

/* Once more, for the driver's words: since the refusal other sizes have been tried. */
static void repeat(struct maker *maker, size_t map)
{
	int fd = make(maker, maker->maps[map], maker->list[map].entries);

	if (fd >= 0)
		unmake(maker, fd);
}

static int refuse(struct maker *maker, const struct fit_refusal *refusal, int error,
		  struct reason *reason)
{
	const struct fit_map *map = &maker->list[refusal->map];
	enum reason_code code = error == -EPERM	     ? REASON_NO_PERMISSION :
				error == -EOPNOTSUPP ? REASON_MAP_TYPE :
				error == -ENODEV     ? REASON_DEVICE_GONE :
				fit_helps(-error)    ? REASON_MAP_LIMIT :
						       REASON_UNKNOWN;
	const char *what = maker->request->what;

	if (device_gone(maker->request->ifindex))
		return reason_set(reason, REASON_DEVICE_GONE, "map-create", -error, "%s, offload",
				  what);
	if (!fit_helps(-error))
		reason_set(reason, code, "map-create", -error, "%s, offload: %s of %u entries",
			   what, map->name, map->entries);
	else if (refusal->alone && refusal->takes)
		reason_set(reason, code, "map-create", -error,
			   "%s, offload: %s needs %u entries, the device takes %u", what, map->name,
			   map->floor, refusal->takes);
	else if (refusal->alone)
		reason_set(reason, code, "map-create", -error,
			   "%s, offload: the device does not take %s, not even with one entry",
			   what, map->name);
	else
		reason_set(reason, code, "map-create", -error,
			   "%s, offload: the maps need %llu entries, and after %llu of them the "
			   "device has no room for the %u of %s",
			   what, (unsigned long long)refusal->total,
			   (unsigned long long)refusal->before, map->entries, map->name);
	if (refusal->alone && fit_helps(-error))
		repeat(maker, refusal->map);
	if (error == -ETIMEDOUT || error == -EIO)
		reason_set_hint(reason, "the device does not answer: reload its driver");
	else if (refusal->alone && !refusal->takes)
		reason_set_hint(reason, "other firmware, or another tier");
	device_quote_log(maker->reader, maker->request->driver, reason);
	code = reason_classify(0, reason->kernel);
	if (code != REASON_UNKNOWN)
		reason->code = code;
	return error;
}

static int take_map(struct bpf_map *map, int fd)
{
	int error = bpf_map__reuse_fd(map, fd);

	close(fd); /* libbpf has its own copy */
	return error;
}

/* For good. -errno and the map that was refused. */
static int take_maps(struct maker *maker, size_t *refused)
{
	for (size_t i = 0; i < maker->n; i++) {
		int fd = make(maker, maker->maps[i], maker->list[i].entries);
		int error = fd < 0 ? fd : take_map(maker->maps[i], fd);

		*refused = i;
		if (error)
			return error;
	}
	return 0;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t floor_of(const struct object_request *request, const struct bpf_map *map)
{
	uint32_t wanted = bpf_map__max_entries(map), needed;

	if (!map_set_entries(bpf_map__name(map), request->sizes))
		return wanted; /* one size, whatever the file has */
	needed = request->floor ? map_set_entries(bpf_map__name(map), request->floor) : LEAST;
	return smaller(wanted, needed ? needed : 1);
}

/* The wished sizes at once; only where they are refused others are sought. */
static int make_all(struct maker *maker, struct bpf_object *object, struct reason *reason)
{
	struct fit_refusal refusal;
	struct bpf_map *map;
	int error;

	bpf_object__for_each_map(map, object) {
		maker->maps[maker->n] = map;
		maker->list[maker->n++] = (struct fit_map){
			.name = bpf_map__name(map),
			.wanted = bpf_map__max_entries(map),
			.floor = floor_of(maker->request, map),
			.entries = bpf_map__max_entries(map),
		};
	}
	error = try_maps(maker->list, maker->n, &refusal.map, maker);
	if (error)
		error = fit_find(maker->list, maker->n, try_maps, maker, &refusal);
	if (error)
		return refuse(maker, &refusal, error, reason);
	error = take_maps(maker, &refusal.map);
	if (error)
		return reason_set(reason, REASON_UNKNOWN, "map-create", -error, "%s, offload: %s",
				  maker->request->what, maker->list[refusal.map].name);
	return 0;
}

int device_make_maps(const struct object_request *request, struct bpf_object *object,
		     struct reason *reason)
{
	struct maker maker = { .request = request, .reader = kernel_log_open() };
	struct bpf_map *map;
	size_t n = 0;
	int error;

	bpf_object__for_each_map(map, object)
		n++;
	maker.maps = calloc(n + 1, sizeof(struct bpf_map *));
	maker.list = calloc(n + 1, sizeof(*maker.list));
	error = maker.maps && maker.list ? make_all(&maker, object, reason) :
					   reason_set(reason, REASON_UNKNOWN, "map-create", ENOMEM,
						      "%s, offload", request->what);
	free(maker.list);
	free(maker.maps);
	if (maker.reader >= 0)
		close(maker.reader);
	return error;
}
