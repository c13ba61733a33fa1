/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Decides from the kernel's routes and neighbours how XDP reaches each server, and says why where
 * it cannot.
 */
#include "nexthop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "way.h"

#define NEIGHBOUR_GROUP (1u << (RTNLGRP_NEIGH - 1))

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Someone may still find it: neither known nor given up. */
static bool is_pending(const struct way_neighbour *neighbour)
{
	return !neighbour->error && !way_neighbour_usable(neighbour) &&
	       neighbour->state != NUD_FAILED;
}

struct wait {
	struct way_neighbours *set;
	size_t pending;
};

static int note_neighbour(const struct nlmsghdr *message, void *context)
{
	struct wait *wait = context;
	struct way_neighbour *neighbour, before;

	if (message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH)
		return MNL_CB_OK;
	neighbour = way_neighbour_update(wait->set, message, &before);
	if (neighbour) {
		wait->pending -= is_pending(&before);
		wait->pending += is_pending(neighbour);
	}
	return MNL_CB_OK;
}

/* 1: read something, 0: nothing until the deadline, -errno. */
static int read_events(struct mnl_socket *events, int64_t deadline, struct wait *wait)
{
	struct pollfd poll_fd = { .fd = mnl_socket_get_fd(events), .events = POLLIN };
	int64_t left = deadline - now_ms();
	char buffer[32768];
	ssize_t length;

	if (poll(&poll_fd, 1, left > 0 ? left : 0) <= 0)
		return 0;
	length = mnl_socket_recvfrom(events, buffer, sizeof(buffer));
	if (length < 0)
		return errno == EINTR ? 1 : -errno;
	mnl_cb_run(buffer, length, 0, 0, note_neighbour, wait);
	return 1;
}

/* The notifications did not fit into the socket: look at the whole table instead. */
static int recount(struct mnl_socket *nl, struct wait *wait)
{
	int error = way_neighbours_dump(nl, wait->set);

	wait->pending = 0;
	for (size_t i = 0; i < wait->set->n; i++)
		wait->pending += is_pending(&wait->set->list[i]);
	return error;
}

/* All neighbours at once share the time, so one dead server costs no more than many. */
static int find_neighbours(struct mnl_socket *nl, struct mnl_socket *events,
			   struct way_neighbours *set, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	struct wait wait = { .set = set };
	int got;

	/* A failure that was reported before we ask must not be taken for the answer. */
	do
		got = read_events(events, 0, &wait);
	while (got == 1);
	if (got)
		return got == -ENOBUFS ? way_neighbours_dump(nl, set) : got;

	wait.pending = 0;
	for (size_t i = 0; i < set->n; i++) {
		struct way_neighbour *neighbour = &set->list[i];

		if (way_neighbour_usable(neighbour))
			continue;
		neighbour->state = 0;
		way_neighbour_use(nl, neighbour);
		wait.pending += is_pending(neighbour);
	}
	while (wait.pending) {
		got = read_events(events, deadline, &wait);
		if (got == -ENOBUFS)
			got = recount(nl, &wait) ?: 1;
		if (got <= 0)
			return got;
	}
	return 0;
}

static void problem(struct plan_hop *hop, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void problem(struct plan_hop *hop, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(hop->problem, sizeof(hop->problem), format, arguments);
	va_end(arguments);
}

static const char *route_problem(const struct way_route *route)
{
	switch (route->error) {
	case 0:
		break;
	case -EHOSTUNREACH:
		return "the route says unreachable";
	case -EACCES:
		return "the route says prohibit";
	case -EINVAL:
		return "the route is a blackhole";
	default:
		return "no route";
	}
	switch (route->type) {
	case RTN_UNICAST:
		return NULL;
	case RTN_LOCAL:
		return "it is an address of this host";
	case RTN_BROADCAST:
		return "it is a broadcast address";
	case RTN_MULTICAST:
		return "it is a multicast address";
	case RTN_ANYCAST:
		return "it is an anycast address of this host";
	case RTN_BLACKHOLE:
		return "the route is a blackhole";
	case RTN_PROHIBIT:
		return "the route says prohibit";
	case RTN_UNREACHABLE:
		return "the route says unreachable";
	default:
		return "no route";
	}
}

/* Virtual devices above others, whose drivers have no ndo_xdp_xmit. */
static const char *const no_transmit[] = {
	"vlan",	     "bridge", "macvlan", "ipvlan", "macsec", "vxlan", "geneve", "gretap",
	"ip6gretap", "team",   "vrf",	  "dummy",  "ifb",    "hsr",   "dsa",	 "batadv",
};

static bool can_transmit(const struct way_link *link)
{
	for (size_t i = 0; i < sizeof(no_transmit) / sizeof(*no_transmit); i++)
		if (!strcmp(link->kind, no_transmit[i]))
			return false;
	return true;
}

/* Transmitting where the packet came in asks nothing of the device but the XDP it has. */
static bool link_serves(const struct way_link *link, uint32_t ifindex, struct plan_hop *hop)
{
	if (link->type == ARPHRD_LOOPBACK)
		problem(hop, "the way leads through the loopback device %s", link->name);
	else if (link->type != ARPHRD_ETHER || !link->has_mac)
		problem(hop, "the way leads through %s, which is not Ethernet", link->name);
	else if (link->index != ifindex && !can_transmit(link))
		problem(hop, "the way leads through the %s device %s, which XDP cannot transmit to",
			link->kind, link->name);
	else if (!(link->flags & IFF_UP))
		problem(hop, "%s is down", link->name);
	else if (!(link->flags & IFF_RUNNING))
		problem(hop, "%s has no carrier", link->name);
	else
		return true;
	return false;
}

static void neighbour_problem(const struct way_neighbour *neighbour, const struct way_link *link,
			      struct plan_hop *hop)
{
	bool v4 = neighbour->address.family == AF_INET;
	char text[INET6_ADDRSTRLEN];

	config_address_text(&neighbour->address, text);
	if (neighbour->error == -ENOBUFS)
		problem(hop,
			"the kernel's neighbour table is full: raise net.%s.neigh.default.gc_thresh3",
			v4 ? "ipv4" : "ipv6");
	else if (neighbour->error)
		problem(hop, "next hop %s on %s: the kernel would not look for it: %s", text,
			link->name, strerror(-neighbour->error));
	else
		problem(hop, "next hop %s on %s does not answer (%s)", text, link->name,
			v4 ? "ARP" : "neighbour discovery");
}

static void decide(const struct way_survey *survey, const struct way_route *route,
		   const struct config_server *server, uint32_t ifindex, struct plan_hop *hop)
{
	const struct way_link *link = way_link(&survey->links, route->link);
	const struct way_neighbour *neighbour;
	const char *text = route_problem(route);
	char gateway[INET6_ADDRSTRLEN];

	if (text || !link) {
		problem(hop, "%s", text ?: "no route");
		return;
	}
	if (!link_serves(link, ifindex, hop))
		return;
	if (server->mode == CONFIG_MODE_L2DSR && route->gateway.family) {
		problem(hop, "l2dsr needs it on the same link, but it is behind gateway %s on %s",
			config_address_text(&route->gateway, gateway), link->name);
		return;
	}
	neighbour = way_neighbour(&survey->neighbours, route->link,
				  way_next_hop(route, &server->address));
	if (!neighbour) {
		problem(hop, "no route");
		return;
	}
	if (!way_neighbour_usable(neighbour)) {
		neighbour_problem(neighbour, link, hop);
		return;
	}
	hop->resolved = true;
	hop->egress = link->index == ifindex ? 0 : link->index;
	memcpy(hop->destination_mac, neighbour->mac, sizeof(hop->destination_mac));
	memcpy(hop->source_mac, link->mac, sizeof(hop->source_mac));
	hop->source = route->source;
	hop->mtu = route->mtu ?: link->mtu;
}

static int survey_and_find(const struct config *config, int timeout_ms, struct way_survey *survey)
{
	/* Listening begins before the first look, so that no answer falls between the two. */
	struct mnl_socket *events = way_socket(NEIGHBOUR_GROUP);
	struct mnl_socket *nl = way_socket(0);
	int error = events && nl ? 0 : -errno;

	if (!error)
		error = way_survey(nl, config, survey);
	if (!error) {
		error = find_neighbours(nl, events, &survey->neighbours, timeout_ms);
		if (error)
			way_survey_free(survey);
	}
	if (nl)
		mnl_socket_close(nl);
	if (events)
		mnl_socket_close(events);
	return error;
}

int nexthop_resolve(const struct config *config, uint32_t ifindex, int timeout_ms,
		    struct plan_hop **hops, struct reason *reason)
{
	const struct way_link *ingress;
	struct way_survey survey;
	int error = survey_and_find(config, timeout_ms, &survey);

	*hops = NULL;
	if (error)
		return reason_set(reason, error == -EPERM ? REASON_NO_PERMISSION : REASON_UNKNOWN,
				  "netlink", -error, "the kernel's routes and neighbours");
	*hops = calloc(survey.n + 1, sizeof(**hops));
	ingress = way_link(&survey.links, ifindex);
	for (uint32_t i = 0; *hops && i < survey.n; i++) {
		(*hops)[i].ingress_mtu = ingress ? ingress->mtu : 0;
		decide(&survey, &survey.routes[i], plan_server(config, i, NULL), ifindex,
		       &(*hops)[i]);
	}
	way_survey_free(&survey);
	return *hops ? 0 : reason_set(reason, REASON_UNKNOWN, "memory", ENOMEM, NULL);
}
