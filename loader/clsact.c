/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TC programs by filters of the clsact qdisc. See clsact.h.
 */
#include "clsact.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hook.h"

/*
 * Our place among the filters: `tc filter show dev IFACE ingress` lists it as pref 443 bpf handle
 * 0x51554943. Another kind of filter at that priority keeps it; ours then takes one of the next.
 */
#define HANDLE	   0x51554943 /* "QUIC" */
#define PRIORITY   443
#define PRIORITIES 8
#define QDISC_MARK "clsact-%u" /* with the ifindex: the qdisc goes with the device */

static struct bpf_tc_hook hook_at(uint32_t ifindex, enum bpf_tc_attach_point point)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = point);

	return hook;
}

static struct bpf_tc_hook hook_of(const struct clsact_filter *filter)
{
	return hook_at(filter->ifindex,
		       filter->direction == LB_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS);
}

/* By the pin, or by its name where a loader ended half-way between filter and pin. */
static bool is_ours(const struct clsact_filter *filter, uint32_t id)
{
	struct hook_program program;
	int fd;

	if (id == filter->pinned)
		return true;
	fd = hook_program_by_id(id, &program);
	if (fd < 0)
		return false;
	close(fd);
	return !strcmp(program.name, filter->name);
}

/* The priority of our filter, 0 if it is not there. */
static uint32_t find(const struct clsact_filter *filter, uint32_t *program)
{
	struct bpf_tc_hook hook = hook_of(filter);
	uint32_t i;

	for (i = 0; i < PRIORITIES; i++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY + i);

		if (!bpf_tc_query(&hook, &opts) && is_ours(filter, opts.prog_id)) {
			*program = opts.prog_id;
			return PRIORITY + i;
		}
	}
	*program = 0;
	return 0;
}

uint32_t clsact_program(const struct clsact_filter *filter)
{
	uint32_t program;

	find(filter, &program);
	return program;
}

void clsact_remove(const struct clsact_filter *filter)
{
	struct bpf_tc_hook hook = hook_of(filter);
	uint32_t program, priority = find(filter, &program);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = priority);

	if (priority)
		bpf_tc_detach(&hook, &opts);
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
	request->tcm_ifindex = (int)ifindex;
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
	bool found, clsact;
};

static int look_for_ingress(const struct nlmsghdr *message, void *context)
{
	const struct tcmsg *qdisc = mnl_nlmsg_get_payload(message);
	struct ingress_search *search = context;
	const struct nlattr *attribute;

	if (message->nlmsg_type != RTM_NEWQDISC || qdisc->tcm_parent != TC_H_CLSACT ||
	    (uint32_t)qdisc->tcm_ifindex != search->ifindex)
		return MNL_CB_OK;
	search->found = true;
	mnl_attr_for_each(attribute, message,
			  sizeof(*qdisc)) if (mnl_attr_get_type(attribute) == TCA_KIND)
		search->clsact = !strcmp(mnl_attr_get_str(attribute), "clsact");
	return MNL_CB_OK;
}

/* What is at the ingress: clsact, or what excludes it. */
static struct ingress_search find_qdisc(uint32_t ifindex)
{
	struct ingress_search search = { .ifindex = ifindex };

	if (dump(RTM_GETQDISC, ifindex, 0, look_for_ingress, &search))
		search.found = search.clsact = false;
	return search;
}

int clsact_put(const struct clsact_filter *filter, int fd)
{
	struct bpf_tc_hook hook = hook_of(filter);
	uint32_t program, old = find(filter, &program), i;
	int error = 0;

	/* An "ingress" qdisc takes filters for the egress without a word, and runs them at the ingress. */
	if (filter->direction == LB_EGRESS && !find_qdisc(filter->ifindex).clsact)
		return -EOPNOTSUPP;
	for (i = 0; i < PRIORITIES; i++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd, .handle = HANDLE,
			    .priority = old ? old : PRIORITY + i,
			    .flags = old ? BPF_TC_F_REPLACE : 0);

		error = bpf_tc_attach(&hook, &opts);
		if (!error || old || (error != -EEXIST && error != -EINVAL))
			break;
	}
	return error;
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

static void unmark(const struct pin_path *folder, uint32_t ifindex)
{
	struct pin_path mark;
	char name[32];

	snprintf(name, sizeof(name), QDISC_MARK, ifindex);
	mark = pins_in(folder, name);
	pins_remove(&mark);
}

int clsact_make_qdisc(uint32_t ifindex, const struct pin_path *folder, bool *made,
		      struct reason *reason)
{
	struct bpf_tc_hook hook = hook_at(ifindex, BPF_TC_INGRESS);
	int error;

	*made = false;
	if (find_qdisc(ifindex).found)
		return 0;
	error = pins_mark(folder, reason, QDISC_MARK, ifindex);
	if (error)
		return error;
	error = bpf_tc_hook_create(&hook);
	*made = !error;
	if (error)
		unmark(folder, ifindex);
	return error == -EEXIST ? 0 : error;
}

void clsact_remove_qdisc(uint32_t ifindex, const struct pin_path *folder)
{
	struct bpf_tc_hook hook = hook_at(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);

	if (!pins_marked(folder, QDISC_MARK, ifindex))
		return;
	if (!has_filters(ifindex, TC_H_MIN_INGRESS) && !has_filters(ifindex, TC_H_MIN_EGRESS))
		bpf_tc_hook_destroy(&hook);
	unmark(folder, ifindex);
}
