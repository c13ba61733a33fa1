/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A tier's embedded object into the kernel. See object.h.
 */
#include "object.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "kernel_log.h"
#include "log.h"
#include "sync.h"

uint64_t object_hash(const unsigned char *object, size_t size)
{
	/* FNV-1a: it has to tell builds apart, not to withstand anybody. */
	uint64_t hash = 0xcbf29ce484222325;
	size_t i;

	for (i = 0; i < size; i++)
		hash = (hash ^ object[i]) * 0x100000001b3;
	return hash;
}

uint64_t object_build(enum tier tier)
{
	return object_hash(tiers[tier].object, tiers[tier].object_size);
}

static int request_reason(const struct object_request *request, enum reason_code code,
			  const char *stage, int error, struct reason *reason)
{
	reason_set(reason, code, stage, error, "%s%s%s", request->what ? request->what : "",
		   request->what ? ", " : "", tiers[request->tier].name);
	reason_set_kernel(reason, log_kernel_sentence());
	return -error;
}

static int take_map(struct bpf_map *map, int fd)
{
	int error = fd < 0 ? -errno : bpf_map__reuse_fd(map, fd);

	if (fd >= 0)
		close(fd); /* libbpf has its own copy */
	return error;
}

/* A map that the older program did not have is made new. */
static int take_pinned(const struct object_request *request, struct bpf_object *object,
		       struct reason *reason)
{
	struct bpf_map *map;
	char path[160];
	int fd, error;

	bpf_object__for_each_map(map, object) {
		/* Constants are the program's own; bpffs could not hold their map's name either. */
		if (bpf_map__is_internal(map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", request->reuse, bpf_map__name(map));
		fd = bpf_obj_get(path);
		if (fd < 0 && errno == ENOENT)
			continue;
		error = take_map(map, fd);
		if (error)
			return reason_set(reason, REASON_ABI, "pin", -error, "%s", path);
	}
	return 0;
}

/* What is remembered of flows does not depend on the rest. */
static int take_flows(const struct object_request *request, struct bpf_object *object,
		      struct reason *reason)
{
	static const char *const names[] = { LB_MAP_CONN_TRACK, LB_MAP_FLOW_RECENT };
	char path[160];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, names[i]);
		int error;

		snprintf(path, sizeof(path), "%s/%s", request->flows, names[i]);
		error = map ? take_map(map, bpf_obj_get(path)) : 0;
		if (error)
			return reason_set(reason, REASON_ABI, "pin", -error, "%s", path);
	}
	return 0;
}

static int take_shared(const struct object_request *request, struct bpf_object *object,
		       struct reason *reason)
{
	struct bpf_map *map, *other;

	bpf_object__for_each_map(map, object) {
		other = bpf_object__find_map_by_name(request->share, bpf_map__name(map));
		if (!other || bpf_map__reuse_fd(map, bpf_map__fd(other)))
			return request_reason(request, REASON_UNKNOWN, "map-create", EINVAL,
					      reason);
	}
	return 0;
}

static int settle_maps(const struct object_request *request, struct bpf_object *object,
		       struct reason *reason)
{
	int error = map_set_size_object(object, request->sizes);

	if (!error && !request->ifindex)
		error = map_set_make_mappable(object);
	if (error)
		return request_reason(request, REASON_UNKNOWN, "map-create", -error, reason);
	if (request->share)
		return take_shared(request, object, reason);
	if (request->reuse)
		return take_pinned(request, object, reason);
	if (request->flows)
		return take_flows(request, object, reason);
	return request->ifindex ? device_make_maps(request, object, reason) : 0;
}

int object_open(const struct object_request *request, struct bpf_object **object,
		struct reason *reason)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = tiers[request->tier].program);
	struct bpf_program *program;
	int error;

	log_forget_kernel();
	*object = bpf_object__open_mem(tiers[request->tier].object,
				       tiers[request->tier].object_size, &opts);
	if (!*object)
		return request_reason(request, REASON_UNKNOWN, "object", errno, reason);
	error = settle_maps(request, *object, reason);
	if (error) {
		bpf_object__close(*object);
		*object = NULL;
		return error;
	}
	/* Its steps are taken in user space. */
	bpf_object__for_each_program(program, *object)
		bpf_program__set_autoload(program, request->tier != TIER_USERSPACE);
	if (request->ifindex) {
		program = bpf_object__find_program_by_name(*object, tiers[request->tier].program);
		bpf_program__set_ifindex(program, request->ifindex);
	}
	return 0;
}

static enum reason_code load_reason(int error)
{
	switch (error) {
	case EPERM:
		return REASON_NO_PERMISSION;
	case EACCES:
	case EINVAL:
	case E2BIG:
	case EOPNOTSUPP: /* of a card's driver */
		return REASON_VERIFIER;
	default:
		return REASON_UNKNOWN;
	}
}

/* A card's driver has a sentence in the verifier's log, or only in the kernel's. */
static int load(const struct object_request *request, struct bpf_object *object,
		struct reason *reason)
{
	int reader = request->ifindex ? kernel_log_open() : -1;
	int error = bpf_object__load(object);
	enum reason_code code;

	if (error && request->ifindex && device_gone(request->ifindex)) {
		request_reason(request, REASON_DEVICE_GONE, "prog-load", -error, reason);
	} else if (error) {
		request_reason(request, load_reason(-error), "prog-load", -error, reason);
		if (request->ifindex && reason_classify(0, reason->kernel) == REASON_UNKNOWN)
			device_quote_log(reader, request->driver, reason);
		code = reason_classify(0, reason->kernel);
		if (code != REASON_UNKNOWN)
			reason->code = code;
	}
	if (reader >= 0)
		close(reader);
	return error;
}

int object_load(const struct object_request *request, struct bpf_object **object, int *program_fd,
		struct reason *reason)
{
	int error = object_open(request, object, reason);

	if (error)
		return error;
	error = load(request, *object, reason);
	if (error) {
		bpf_object__close(*object);
		*object = NULL;
		return error;
	}
	*program_fd = bpf_program__fd(
		bpf_object__find_program_by_name(*object, tiers[request->tier].program));
	return 0;
}
