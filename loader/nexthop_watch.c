/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tells changes that can alter the way to a server from the many that cannot: a neighbour growing
 * stale, a client's ARP, a route to elsewhere, a device's statistics.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "nexthop.h"
#include "plan.h"
#include "way.h"

#define GROUP(name) (1u << (RTNLGRP_##name - 1))
#define WATCH_GROUPS                                                                   \
	(GROUP(LINK) | GROUP(NEIGH) | GROUP(IPV4_IFADDR) | GROUP(IPV6_IFADDR) |        \
	 GROUP(IPV4_ROUTE) | GROUP(IPV6_ROUTE) | GROUP(IPV4_RULE) | GROUP(IPV6_RULE) | \
	 GROUP(NEXTHOP))

/* A link's state that a way depends on; statistics, XDP programs and so on are not. */
#define LINK_FLAGS (IFF_UP | IFF_RUNNING)

struct nexthop_watch {
	struct mnl_socket *events;
	bool following;
	struct way_survey survey; /* as of the last follow, neighbours kept current */
	struct config_address *addresses; /* of the servers, sorted; survey.n */
};

static int fail(int error, struct reason *reason)
{
	return reason_set(reason, error == -EPERM ? REASON_NO_PERMISSION : REASON_UNKNOWN,
			  "netlink", -error, "the watch on routes and neighbours");
}

int nexthop_watch_open(struct nexthop_watch **watch, struct reason *reason)
{
	struct nexthop_watch *made = calloc(1, sizeof(*made));

	*watch = NULL;
	if (!made)
		return fail(-ENOMEM, reason);
	made->events = way_socket(WATCH_GROUPS);
	if (!made->events) {
		int error = -errno;

		free(made);
		return fail(error, reason);
	}
	*watch = made;
	return 0;
}

int nexthop_watch_fd(const struct nexthop_watch *watch)
{
	return mnl_socket_get_fd(watch->events);
}

static int compare_addresses(const void *a, const void *b)
{
	const struct config_address *left = a, *right = b;

	if (left->family != right->family)
		return left->family < right->family ? -1 : 1;
	return memcmp(left->octets, right->octets, sizeof(left->octets));
}

static struct config_address *server_addresses(const struct config *config, uint32_t n)
{
	struct config_address *list = calloc(n + 1, sizeof(*list));

	for (uint32_t i = 0; list && i < n; i++)
		list[i] = plan_server(config, i, NULL)->address;
	if (list)
		qsort(list, n, sizeof(*list), compare_addresses);
	return list;
}

int nexthop_watch_follow(struct nexthop_watch *watch, const struct config *config,
			 struct reason *reason)
{
	struct mnl_socket *nl = way_socket(0);
	struct config_address *addresses;
	struct way_survey survey = {};
	int error = nl ? way_survey(nl, config, &survey) : -errno;

	if (nl)
		mnl_socket_close(nl);
	if (error)
		return fail(error, reason);
	addresses = server_addresses(config, survey.n);
	if (!addresses) {
		way_survey_free(&survey);
		return fail(-ENOMEM, reason);
	}
	way_survey_free(&watch->survey);
	free(watch->addresses);
	watch->survey = survey;
	watch->addresses = addresses;
	watch->following = true;
	return 0;
}

void nexthop_watch_refresh(struct nexthop_watch *watch)
{
	struct mnl_socket *nl = way_socket(0);

	for (size_t i = 0; nl && i < watch->survey.neighbours.n; i++)
		way_neighbour_use(nl, &watch->survey.neighbours.list[i]);
	if (nl)
		mnl_socket_close(nl);
}

static bool neighbour_changed(struct nexthop_watch *watch, const struct nlmsghdr *message)
{
	struct way_neighbour before;
	const struct way_neighbour *now;

	now = way_neighbour_update(&watch->survey.neighbours, message, &before);
	if (!now)
		return false;
	if (way_neighbour_usable(now) != way_neighbour_usable(&before))
		return true;
	return way_neighbour_usable(now) && memcmp(now->mac, before.mac, sizeof(now->mac));
}

static bool link_changed(const struct nexthop_watch *watch, const struct nlmsghdr *message)
{
	const struct way_link *before;
	struct way_link now;

	way_link_read(message, &now);
	before = way_link(&watch->survey.links, now.index);
	return message->nlmsg_type == RTM_DELLINK || !before ||
	       (now.flags & LINK_FLAGS) != (before->flags & LINK_FLAGS) || now.mtu != before->mtu ||
	       now.type != before->type || now.has_mac != before->has_mac ||
	       memcmp(now.mac, before->mac, sizeof(now.mac)) || strcmp(now.name, before->name);
}

static uint32_t prefix_octet(uint32_t index, uint32_t prefix_length)
{
	uint32_t bits = prefix_length > 8 * index ? prefix_length - 8 * index : 0;

	return bits >= 8 ? 0xff : 0xff & ~(0xffu >> bits);
}

/* Whether a server lies in the route's prefix: the first one not below it does, or none. */
static bool covers_server(const struct nexthop_watch *watch, const struct config_address *prefix,
			  uint32_t length)
{
	size_t low = 0, high = watch->survey.n;
	const struct config_address *found;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_addresses(&watch->addresses[middle], prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == watch->survey.n)
		return false;
	found = &watch->addresses[low];
	if (found->family != prefix->family)
		return false;
	for (uint32_t i = 0; i < sizeof(prefix->octets); i++)
		if ((found->octets[i] ^ prefix->octets[i]) & prefix_octet(i, length))
			return false;
	return true;
}

static bool route_changed(const struct nexthop_watch *watch, const struct nlmsghdr *message)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);
	struct config_address prefix = { .family = info->rtm_family };
	const struct nlattr *attr;

	if (info->rtm_flags & RTM_F_CLONED)
		return false;
	mnl_attr_for_each(attr, message, sizeof(*info)) if (mnl_attr_get_type(attr) == RTA_DST &&
							    mnl_attr_get_payload_len(attr) <=
								    sizeof(prefix.octets))
		memcpy(prefix.octets, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	return covers_server(watch, &prefix, info->rtm_dst_len);
}

static bool is_change(struct nexthop_watch *watch, const struct nlmsghdr *message)
{
	switch (message->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return !watch->following || neighbour_changed(watch, message);
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return !watch->following || link_changed(watch, message);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return !watch->following || route_changed(watch, message);
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		return true;
	default:
		return false;
	}
}

int nexthop_watch_read(struct nexthop_watch *watch)
{
	char buffer[32768];
	int changed = 0;

	for (;;) {
		ssize_t length =
			recv(nexthop_watch_fd(watch), buffer, sizeof(buffer), MSG_DONTWAIT);
		struct nlmsghdr *message = (struct nlmsghdr *)buffer;
		int left = length;

		/* What did not fit into the socket is lost: it may have been anything. */
		if (length < 0 && errno == ENOBUFS) {
			changed = 1;
			continue;
		}
		if (length < 0)
			return errno == EAGAIN || errno == EINTR ? changed : -errno;
		for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
			changed |= is_change(watch, message);
	}
}

void nexthop_watch_close(struct nexthop_watch *watch)
{
	if (!watch)
		return;
	mnl_socket_close(watch->events);
	way_survey_free(&watch->survey);
	free(watch->addresses);
	free(watch);
}
