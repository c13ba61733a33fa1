/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TC programs by TCX links. See tcx.h.
 */
#include "tcx.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#define TCX_PROGRAMS 64 /* BPF_MPROG_MAX: more there are not */

/* enum bpf_attach_type of Linux 6.6, which older headers lack. */
static enum bpf_attach_type attach_type(enum lb_direction direction)
{
	return (enum bpf_attach_type)(direction == LB_INGRESS ? 46 : 47);
}

static bool runs(uint32_t ifindex, enum lb_direction direction, uint32_t program)
{
	__u32 ids[TCX_PROGRAMS] = {}, n = TCX_PROGRAMS;

	if (bpf_prog_query((int)ifindex, attach_type(direction), 0, NULL, ids, &n))
		return false;
	for (__u32 i = 0; i < n && i < TCX_PROGRAMS; i++)
		if (ids[i] == program)
			return true;
	return false;
}

static uint32_t program_of(int link)
{
	struct bpf_link_info info = {};
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(link, &info, &length) ? 0 : info.prog_id;
}

uint32_t tcx_program(const struct pin_path *pin, uint32_t ifindex, enum lb_direction direction)
{
	int link = bpf_obj_get(pin->text);
	uint32_t program;

	if (link < 0)
		return 0;
	program = program_of(link);
	close(link);
	return program && runs(ifindex, direction, program) ? program : 0;
}

static int update(const struct pin_path *pin, int fd)
{
	int link = bpf_obj_get(pin->text), error;

	if (link < 0)
		return -errno;
	error = bpf_link_update(link, fd, NULL) ? -errno : 0;
	close(link);
	return error;
}

static int create(const struct pin_path *pin, uint32_t ifindex, enum lb_direction direction, int fd)
{
	int link = bpf_link_create(fd, (int)ifindex, attach_type(direction), NULL), error = 0;

	if (link < 0)
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	unlink(pin->text); /* of a link that runs nothing any more */
	if (bpf_obj_pin(link, pin->text))
		error = -errno;
	close(link);
	return error;
}

int tcx_put(const struct pin_path *pin, uint32_t ifindex, enum lb_direction direction, int fd)
{
	return tcx_program(pin, ifindex, direction) ? update(pin, fd) :
						      create(pin, ifindex, direction, fd);
}

void tcx_remove(const struct pin_path *pin)
{
	int link = bpf_obj_get(pin->text);

	if (link < 0)
		return;
	bpf_link_detach(link);
	close(link);
	unlink(pin->text);
}
