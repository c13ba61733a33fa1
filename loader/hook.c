/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An interface's XDP hook by netlink. See hook.h.
 *
 * Netlink and not bpf_link: a link's attach answers with a bare errno where netlink adds the
 * driver's sentence, and a program attached so stays when this process ends.
 */
#include "hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel_log.h"
#include "log.h"

int hook_query(const char *interface, uint32_t ifindex, struct hook *hook, struct reason *reason)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int error;

	memset(hook, 0, sizeof(*hook));
	log_forget_kernel();
	error = bpf_xdp_query(ifindex, 0, &opts);
	if (error) {
		reason_set(reason, error == -ENODEV ? REASON_DEVICE_GONE : REASON_UNKNOWN, "query",
			   -error, "%s", interface);
		reason_set_kernel(reason, log_kernel_sentence());
		return error;
	}
	hook->id[TIER_OFFLOAD] = opts.hw_prog_id;
	hook->id[TIER_DRIVER] = opts.drv_prog_id;
	hook->id[TIER_GENERIC] = opts.skb_prog_id;
	return 0;
}

static enum reason_code attach_reason(enum tier tier, int error, const char *sentence)
{
	enum reason_code code = reason_classify(error, sentence);

	if (code != REASON_UNKNOWN)
		return code;
	if (error == EBUSY || error == EEXIST)
		return REASON_BUSY_FOREIGN_PROGRAM;
	if (error == ENODEV)
		return REASON_DEVICE_GONE;
	if (tier == TIER_DRIVER && error == EOPNOTSUPP)
		return REASON_NO_NATIVE;
	if (tier == TIER_OFFLOAD && error == EOPNOTSUPP)
		return REASON_OFFLOAD_REFUSED;
	return REASON_UNKNOWN;
}

int hook_set(const char *interface, uint32_t ifindex, enum tier tier, int fd, int expected_fd,
	     struct reason *reason)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = expected_fd);
	/* The mode is always named: without it the kernel picks one, and picks native to detach. */
	__u32 flags = tiers[tier].xdp_flags |
		      (expected_fd < 0 ? XDP_FLAGS_UPDATE_IF_NOEXIST : XDP_FLAGS_REPLACE);
	int reader = kernel_log_open(), error;
	char line[sizeof(reason->kernel)];
	const char *sentence;

	log_forget_kernel();
	error = bpf_xdp_attach(ifindex, fd, flags, expected_fd < 0 ? NULL : &opts);
	sentence = log_kernel_sentence();
	/* Many a driver answers with a bare errno and tells the kernel's log why. */
	if (error && !sentence[0] && kernel_log_find(reader, interface, line, sizeof(line)))
		sentence = line;
	if (reader >= 0)
		close(reader);
	if (!error)
		return 0;
	reason_set(reason, attach_reason(tier, -error, sentence), fd < 0 ? "detach" : "attach",
		   -error, "%s, %s", interface, tiers[tier].name);
	reason_set_kernel(reason, sentence);
	return error;
}

int hook_program(int fd, struct hook_program *program)
{
	struct bpf_prog_info info = {};
	__u32 length = sizeof(info);
	size_t i;

	memset(program, 0, sizeof(*program));
	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return -errno;
	program->id = info.id;
	program->loaded = info.load_time;
	snprintf(program->name, sizeof(program->name), "%.15s", info.name);
	for (i = 0; i < sizeof(info.tag); i++)
		snprintf(program->tag + 2 * i, 3, "%02x", info.tag[i]);
	return 0;
}

int hook_program_by_id(uint32_t id, struct hook_program *program)
{
	int fd = bpf_prog_get_fd_by_id(id), error;

	if (fd < 0) {
		error = -errno;
		memset(program, 0, sizeof(*program));
		program->id = id;
		return error;
	}
	error = hook_program(fd, program);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}
