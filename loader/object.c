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

#include "log.h"
#include "sync.h"

uint64_t object_build(enum tier tier)
{
	/* FNV-1a: it has to tell builds apart, not to withstand anybody. */
	uint64_t hash = 0xcbf29ce484222325;
	size_t i;

	for (i = 0; i < tiers[tier].object_size; i++)
		hash = (hash ^ tiers[tier].object[i]) * 0x100000001b3;
	return hash;
}

int object_try_device(const char *interface, uint32_t ifindex, struct reason *reason)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_ifindex = ifindex);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "shunt_trial", "Dual BSD/GPL", pass,
			       sizeof(pass) / sizeof(pass[0]), &opts);
	enum reason_code code;

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	/* kernel/bpf/offload.c: EOPNOTSUPP from what has no ndo_bpf, EINVAL from what has no engine. */
	code = errno == EOPNOTSUPP ? REASON_NO_NDO_BPF :
	       errno == EINVAL	   ? REASON_NO_OFFLOAD_DEVICE :
	       errno == EPERM	   ? REASON_NO_PERMISSION :
				     REASON_UNKNOWN;
	return reason_set(reason, code, "prog-load-dev", errno, "%s, offload", interface);
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

/*
 * The card's maps one by one, so that a refusal names the map (the drivers write why to the kernel's
 * log only), and without BTF, which a card's maps may not have.
 */
static int make_device_maps(const struct object_request *request, struct bpf_object *object,
			    struct reason *reason)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_ifindex = request->ifindex);
	struct bpf_map *map;
	int fd, error;

	bpf_object__for_each_map(map, object) {
		fd = bpf_map_create(bpf_map__type(map), bpf_map__name(map), bpf_map__key_size(map),
				    bpf_map__value_size(map), bpf_map__max_entries(map), &opts);
		error = fd < 0 ? errno : 0;
		if (error)
			return reason_set(reason,
					  error == EPERM      ? REASON_NO_PERMISSION :
					  error == EOPNOTSUPP ? REASON_MAP_TYPE :
								REASON_MAP_LIMIT,
					  "map-create", error, "%s, offload, %s of %u entries",
					  request->what, bpf_map__name(map),
					  bpf_map__max_entries(map));
		error = take_map(map, fd);
		if (error)
			return request_reason(request, REASON_UNKNOWN, "map-create", -error,
					      reason);
	}
	return 0;
}

static int settle_maps(const struct object_request *request, struct bpf_object *object,
		       struct reason *reason)
{
	int error = map_set_size_object(object, request->sizes);

	if (error)
		return request_reason(request, REASON_UNKNOWN, "map-create", -error, reason);
	if (request->share)
		return take_shared(request, object, reason);
	if (request->reuse)
		return take_pinned(request, object, reason);
	return request->ifindex ? make_device_maps(request, object, reason) : 0;
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
	case ENODEV:
		return REASON_DEVICE_GONE;
	case EACCES:
	case EINVAL:
	case E2BIG:
		return REASON_VERIFIER;
	default:
		return REASON_UNKNOWN;
	}
}

int object_load(const struct object_request *request, struct bpf_object **object, int *program_fd,
		struct reason *reason)
{
	int error = object_open(request, object, reason);

	if (error)
		return error;
	error = bpf_object__load(*object);
	if (error) {
		request_reason(request, load_reason(-error), "prog-load", -error, reason);
		bpf_object__close(*object);
		*object = NULL;
		return error;
	}
	*program_fd = bpf_program__fd(
		bpf_object__find_program_by_name(*object, tiers[request->tier].program));
	return 0;
}
