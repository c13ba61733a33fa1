/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The TC program that counts what reaches the host's stack. See stack.h.
 */
#include "stack.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hook.h"
#include "log.h"
#include "objects.h"
#include "pins.h"

/*
 * Our place among the filters: `tc filter show dev IFACE ingress` lists it as pref 443 bpf handle
 * 0x51554943. Another kind of filter at that priority keeps it; ours then takes one of the next.
 */
#define HANDLE	   0x51554943 /* "QUIC" */
#define PRIORITY   443
#define PRIORITIES 8
#define QDISC_MARK "clsact-%u" /* with the ifindex: the qdisc goes with the device */

static struct bpf_tc_hook ingress(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);

	return hook;
}

/* By the pin, or by its name where a loader ended half-way between filter and pin. */
static bool is_ours(uint32_t id, uint32_t pinned)
{
	struct hook_program program;
	int fd;

	if (id == pinned)
		return true;
	fd = hook_program_by_id(id, &program);
	if (fd < 0)
		return false;
	close(fd);
	return !strcmp(program.name, LB_PROG_INGRESS);
}

/* The priority of our filter, 0 if it is not there. */
static uint32_t find_filter(const char *interface, uint32_t ifindex)
{
	struct pin_path folder = pins_folder(interface, PINS_STACK);
	struct bpf_tc_hook hook = ingress(ifindex);
	struct hook_program pinned = {};
	int fd = pins_program(&folder);
	uint32_t i;

	if (fd >= 0) {
		hook_program(fd, &pinned);
		close(fd);
	}
	for (i = 0; i < PRIORITIES; i++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY + i);

		if (!bpf_tc_query(&hook, &opts) && is_ours(opts.prog_id, pinned.id))
			return PRIORITY + i;
	}
	return 0;
}

static int stack_reason(const char *interface, const char *stage, int error, struct reason *reason)
{
	reason_set(reason, error == EPERM ? REASON_NO_PERMISSION : REASON_UNKNOWN, stage, error,
		   "%s, tc ingress", interface);
	reason_set_kernel(reason, log_kernel_sentence());
	return -error;
}

/* A map of before, if it is as large: counters go on, and who reads the ring need not look again. */
static void keep_map(struct bpf_map *map, const struct pin_path *folder)
{
	struct pin_path path = pins_in(folder, bpf_map__name(map));
	struct bpf_map_info info = {};
	__u32 length = sizeof(info), entries = bpf_map__max_entries(map);
	int fd = bpf_obj_get(path.text);

	if (fd < 0)
		return;
	/* hand_map has as many entries as there are CPUs, which libbpf sees to. */
	if (!bpf_obj_get_info_by_fd(fd, &info, &length) &&
	    (!entries || info.max_entries == entries) &&
	    info.value_size == bpf_map__value_size(map) && info.type == bpf_map__type(map))
		bpf_map__reuse_fd(map, fd);
	close(fd);
}

static int load(const char *interface, const struct map_set *maps, struct bpf_object **object,
		struct reason *reason)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = LB_PROG_INGRESS);
	const struct {
		const char *name;
		int fd;
	} shared[] = {
		{ LB_MAP_META, maps->meta },	   { LB_MAP_GENERATION, maps->generation },
		{ LB_MAP_VIP, maps->vip },	   { LB_MAP_SETTING, maps->setting },
		{ LB_MAP_ADDRESS, maps->address }, { LB_MAP_VIP_ADDRESS, maps->vip_address },
	};
	struct pin_path folder = pins_folder(interface, PINS_STACK);
	struct bpf_map *stats;
	int error = 0;
	size_t i;

	log_forget_kernel();
	*object = bpf_object__open_mem(object_ingress, OBJECT_SIZE(ingress), &opts);
	if (!*object)
		return stack_reason(interface, "object", errno, reason);
	for (i = 0; i < sizeof(shared) / sizeof(shared[0]) && !error; i++)
		error = bpf_map__reuse_fd(bpf_object__find_map_by_name(*object, shared[i].name),
					  shared[i].fd);
	stats = bpf_object__find_map_by_name(*object, LB_MAP_STACK_STATS);
	if (!error)
		error = bpf_map__set_max_entries(stats,
						 map_set_entries(LB_MAP_STACK_STATS, &maps->sizes));
	if (!error) {
		keep_map(stats, &folder);
		keep_map(bpf_object__find_map_by_name(*object, LB_MAP_HAND), &folder);
		error = bpf_object__load(*object);
	}
	if (!error)
		return 0;
	bpf_object__close(*object);
	*object = NULL;
	return stack_reason(interface, "prog-load", -error, reason);
}

static void unmark_qdisc(const struct pin_path *folder, uint32_t ifindex)
{
	struct pin_path mark;
	char name[32];

	snprintf(name, sizeof(name), QDISC_MARK, ifindex);
	mark = pins_in(folder, name);
	pins_remove(&mark);
}

/* All qdiscs, or the filters at one end of a clsact qdisc. */
static int dump(uint16_t type, uint32_t ifindex, uint32_t parent, mnl_cb_t take, void *context)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct tcmsg *request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	struct mnl_socket *netlink = mnl_socket_open(NETLINK_ROUTE);
	int n;

	if (!netlink)
		return -1;
	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->tcm_ifindex = ifindex;
	request->tcm_parent = parent;
	n = mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID);
	if (!n)
		n = mnl_socket_sendto(netlink, header, header->nlmsg_len) < 0 ? -1 : MNL_CB_OK;
	while (n > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(netlink, buffer, sizeof(buffer));
		if (n > 0)
			n = mnl_cb_run(buffer, n, 0, 0, take, context);
	}
	mnl_socket_close(netlink);
	return n;
}

struct ingress_search {
	uint32_t ifindex;
	bool found;
};

static int look_for_ingress(const struct nlmsghdr *message, void *context)
{
	const struct tcmsg *qdisc = mnl_nlmsg_get_payload(message);
	struct ingress_search *search = context;

	if (message->nlmsg_type == RTM_NEWQDISC && qdisc->tcm_parent == TC_H_CLSACT &&
	    (uint32_t)qdisc->tcm_ifindex == search->ifindex)
		search->found = true;
	return MNL_CB_OK;
}

/* Anything at the ingress: clsact, or what excludes it. */
static bool has_qdisc(uint32_t ifindex)
{
	struct ingress_search search = { .ifindex = ifindex };

	return !dump(RTM_GETQDISC, ifindex, 0, look_for_ingress, &search) && search.found;
}

/*
 * Makes the ingress hook; *made: it was not there. The mark comes first, so that it is
 * known whose qdisc it is also after a kill between the two.
 */
static int make_qdisc(const char *interface, uint32_t ifindex, const struct pin_path *folder,
		      bool *made, struct reason *reason)
{
	struct bpf_tc_hook hook = ingress(ifindex);
	int error;

	*made = false;
	if (has_qdisc(ifindex))
		return 0;
	error = pins_mark(folder, reason, QDISC_MARK, ifindex);
	if (error)
		return error;
	log_forget_kernel();
	error = bpf_tc_hook_create(&hook);
	*made = !error;
	if (!error)
		return 0;
	unmark_qdisc(folder, ifindex);
	return error == -EEXIST ? 0 : stack_reason(interface, "clsact", -error, reason);
}

static int count_filters(const struct nlmsghdr *message, void *count)
{
	if (message->nlmsg_type == RTM_NEWTFILTER)
		++*(unsigned int *)count;
	return MNL_CB_OK;
}

/* An error counts as "in use". */
static bool has_filters(uint32_t ifindex, uint32_t end)
{
	unsigned int count = 0;

	return dump(RTM_GETTFILTER, ifindex, TC_H_MAKE(TC_H_CLSACT, end), count_filters, &count) ||
	       count;
}

static void remove_qdisc(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	if (!has_filters(ifindex, TC_H_MIN_INGRESS) && !has_filters(ifindex, TC_H_MIN_EGRESS))
		bpf_tc_hook_destroy(&hook);
}

/* Ours at its place if it is there, else at the first priority that takes it. */
static int put_filter(const char *interface, uint32_t ifindex, int fd, struct reason *reason)
{
	struct bpf_tc_hook hook = ingress(ifindex);
	uint32_t old = find_filter(interface, ifindex), i;
	int error = 0;

	for (i = 0; i < PRIORITIES; i++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd, .handle = HANDLE,
			    .priority = old ? old : PRIORITY + i,
			    .flags = old ? BPF_TC_F_REPLACE : 0);

		log_forget_kernel();
		error = bpf_tc_attach(&hook, &opts);
		if (!error)
			return 0;
		if (old || (error != -EEXIST && error != -EINVAL))
			break;
	}
	return stack_reason(interface, "attach", -error, reason);
}

/* What is pinned, and under which name until the filter is in its place. */
static const struct {
	const char *name, *fresh;
} pinned[] = {
	{ LB_MAP_STACK_STATS, "new-" LB_MAP_STACK_STATS },
	{ LB_MAP_HAND, "new-" LB_MAP_HAND },
	{ PINS_PROGRAM, "new-" PINS_PROGRAM },
};

static void drop_fresh(const struct pin_path *folder)
{
	for (size_t i = 0; i < sizeof(pinned) / sizeof(pinned[0]); i++) {
		struct pin_path path = pins_in(folder, pinned[i].fresh);

		unlink(path.text);
	}
}

static int pin_fresh(const struct pin_path *folder, const struct bpf_object *object,
		     struct reason *reason)
{
	const int fds[] = {
		bpf_object__find_map_fd_by_name(object, LB_MAP_STACK_STATS),
		bpf_object__find_map_fd_by_name(object, LB_MAP_HAND),
		bpf_program__fd(bpf_object__find_program_by_name(object, LB_PROG_INGRESS)),
	};
	int error = pins_make(folder, reason);

	drop_fresh(folder); /* of one that was killed */
	for (size_t i = 0; i < sizeof(pinned) / sizeof(pinned[0]) && !error; i++)
		error = pins_put(fds[i], folder, pinned[i].fresh, reason);
	return error;
}

static void move_fresh(const struct pin_path *folder)
{
	for (size_t i = 0; i < sizeof(pinned) / sizeof(pinned[0]); i++) {
		struct pin_path from = pins_in(folder, pinned[i].fresh);
		struct pin_path to = pins_in(folder, pinned[i].name);

		rename(from.text, to.text);
	}
}

/* made: the qdisc; had: there were pins before. */
static void take_back(uint32_t ifindex, const struct pin_path *folder, bool made, bool had)
{
	if (made) {
		remove_qdisc(ifindex);
		unmark_qdisc(folder, ifindex);
	}
	drop_fresh(folder);
	if (!had && pins_exist(folder))
		pins_remove(folder);
}

int stack_attach(const char *interface, uint32_t ifindex, const struct map_set *maps,
		 struct reason *reason)
{
	struct pin_path folder = pins_folder(interface, PINS_STACK);
	bool made, had = pins_exist(&folder);
	struct bpf_object *object;
	int error = load(interface, maps, &object, reason);

	if (error)
		return error;
	error = make_qdisc(interface, ifindex, &folder, &made, reason);
	if (!error)
		error = pin_fresh(&folder, object, reason);
	if (!error)
		error = put_filter(
			interface, ifindex,
			bpf_program__fd(bpf_object__find_program_by_name(object, LB_PROG_INGRESS)),
			reason);
	if (!error)
		move_fresh(&folder);
	else
		take_back(ifindex, &folder, made, had);
	bpf_object__close(object);
	return error;
}

bool stack_attached(const char *interface, uint32_t ifindex)
{
	return find_filter(interface, ifindex);
}

void stack_detach(const char *interface, uint32_t ifindex)
{
	struct pin_path folder = pins_folder(interface, PINS_STACK);
	struct bpf_tc_hook hook = ingress(ifindex);
	uint32_t priority = ifindex ? find_filter(interface, ifindex) : 0;
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = priority);

	if (priority)
		bpf_tc_detach(&hook, &opts);
	if (ifindex && pins_marked(&folder, QDISC_MARK, ifindex))
		remove_qdisc(ifindex);
	if (pins_exist(&folder))
		pins_remove(&folder);
}
