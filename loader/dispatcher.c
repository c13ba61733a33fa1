/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sharing an interface's host hook with others by libxdp's dispatcher. See dispatcher.h.
 */
#include "dispatcher.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "hook.h"
#include "log.h"

#define DISPATCHER_NAME "xdp_dispatcher"

static enum xdp_attach_mode mode(enum tier tier)
{
	return tier == TIER_DRIVER ? XDP_MODE_NATIVE : XDP_MODE_SKB;
}

static int dispatcher_reason(const char *interface, enum tier tier, const char *stage, int error,
			     struct reason *reason)
{
	const char *sentence = log_kernel_sentence();

	reason_set(reason, reason_classify(error, sentence), stage, error, "%s, %s, dispatcher",
		   interface, tiers[tier].name);
	reason_set_kernel(reason, sentence);
	return -error;
}

bool dispatcher_is(uint32_t id)
{
	struct hook_program program;
	int fd = id ? hook_program_by_id(id, &program) : -1;

	if (fd < 0)
		return false;
	close(fd);
	return !strcmp(program.name, DISPATCHER_NAME);
}

bool dispatcher_holds(uint32_t ifindex, uint32_t id)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *program = NULL;
	bool found = false;

	if (libxdp_get_error(all))
		return false;
	if (!xdp_multiprog__is_legacy(all))
		while (!found && (program = xdp_multiprog__next_prog(program, all)))
			found = xdp_program__id(program) == id;
	xdp_multiprog__close(all);
	return found;
}

/* The first of them: taking one out makes another dispatcher, so its list does not last. */
static uint32_t find_stray(uint32_t ifindex, enum tier tier, uint32_t ours)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *program = NULL;
	uint32_t found = 0;

	if (libxdp_get_error(all))
		return 0;
	if (!xdp_multiprog__is_legacy(all))
		while (!found && (program = xdp_multiprog__next_prog(program, all)))
			if (!strcmp(xdp_program__name(program), tiers[tier].program) &&
			    xdp_program__id(program) != ours)
				found = xdp_program__id(program);
	xdp_multiprog__close(all);
	return found;
}

int dispatcher_drop_strays(uint32_t ifindex, enum tier tier, uint32_t ours)
{
	struct xdp_program *program;
	uint32_t id;
	int dropped = 0, error;

	while ((id = find_stray(ifindex, tier, ours))) {
		program = xdp_program__from_id(id);
		error = libxdp_get_error(program);
		if (!error) {
			error = xdp_program__detach(program, ifindex, mode(tier), 0);
			xdp_program__close(program);
		}
		if (error)
			break; /* whoever attaches next is told why */
		dropped++;
	}
	return dropped;
}

int dispatcher_attach(const char *interface, uint32_t ifindex, enum tier tier,
		      struct bpf_object *object, int *program_fd, bool *shared,
		      struct reason *reason)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = object,
			    .prog_name = tiers[tier].program);
	struct xdp_program *program = xdp_program__create(&opts);
	int error = libxdp_get_error(program);

	log_forget_kernel();
	if (error)
		return dispatcher_reason(interface, tier, "object", -error, reason);
	error = xdp_program__attach(program, ifindex, mode(tier), 0);
	if (error) {
		dispatcher_reason(interface, tier, "attach", -error, reason);
		goto out;
	}
	*shared = dispatcher_holds(ifindex, xdp_program__id(program));
	*program_fd = fcntl(xdp_program__fd(program), F_DUPFD_CLOEXEC, 3);
	if (*program_fd < 0) {
		error = dispatcher_reason(interface, tier, "attach", errno, reason);
		xdp_program__detach(program, ifindex, mode(tier), 0);
	}
out:
	xdp_program__close(program);
	return error;
}

int dispatcher_detach(const char *interface, uint32_t ifindex, enum tier tier, const char *pin,
		      struct reason *reason)
{
	struct xdp_program *program = xdp_program__from_pin(pin);
	int error = libxdp_get_error(program);

	log_forget_kernel();
	if (error)
		return dispatcher_reason(interface, tier, "detach", -error, reason);
	error = xdp_program__detach(program, ifindex, mode(tier), 0);
	if (error)
		dispatcher_reason(interface, tier, "detach", -error, reason);
	xdp_program__close(program);
	return error;
}
