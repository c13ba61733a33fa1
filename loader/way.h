/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel says about links, routes and neighbours, by netlink. Draws no conclusions: that is
 * nexthop.h's work.
 */
#ifndef SHUNT_WAY_H
#define SHUNT_WAY_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "config.h"

struct way_link {
	uint32_t index;
	uint32_t flags; /* IFF_* */
	uint16_t type; /* ARPHRD_* */
	char name[16];
	uint32_t mtu; /* of an IP packet */
	char kind[16]; /* "vlan", "veth", ...; empty for hardware */
	bool has_mac;
	uint8_t mac[6];
};

/* Sorted by index. */
struct way_links {
	size_t n;
	struct way_link *list;
};

/* The kernel's answer to "how would you reach this address?" */
struct way_route {
	int error; /* negative errno instead of a route */
	uint8_t type; /* RTN_* */
	uint32_t link;
	struct config_address gateway; /* family 0: on the link itself */
	struct config_address source;
	uint32_t mtu; /* of the route itself, or as routers on it have told; 0: its link's */
};

struct way_neighbour {
	uint32_t link;
	struct config_address address;
	uint16_t state; /* NUD_*; 0: the kernel has no such entry */
	uint8_t mac[6];
	int error; /* why the kernel would not look for it */
};

/* Sorted by link and address; no two are equal. */
struct way_neighbours {
	size_t n;
	struct way_neighbour *list;
};

/* groups: bits of RTNLGRP_* (1 << (group - 1)), 0 for requests. NULL with errno. */
struct mnl_socket *way_socket(unsigned int groups);

int way_links(struct mnl_socket *nl, struct way_links *links);
void way_links_free(struct way_links *links);
const struct way_link *way_link(const struct way_links *links, uint32_t index);
/* What an RTM_NEWLINK message describes. */
void way_link_read(const struct nlmsghdr *message, struct way_link *link);

/* To n addresses. A route that does not exist is no failure of the call: see route->error. */
int way_routes(struct mnl_socket *nl, const struct config_address *const *addresses, uint32_t n,
	       struct way_route *routes);

/* Sorts a list of n and drops what is there twice. */
void way_neighbours_sort(struct way_neighbours *set);
void way_neighbours_free(struct way_neighbours *set);
struct way_neighbour *way_neighbour(const struct way_neighbours *set, uint32_t link,
				    const struct config_address *address);
/* States and addresses of all of the set, from one dump. */
int way_neighbours_dump(struct mnl_socket *nl, struct way_neighbours *set);
/*
 * Takes over what an RTM_NEWNEIGH or RTM_DELNEIGH message says. NULL if it is not about one of the
 * set; else the entry, with what it was before in *before.
 */
struct way_neighbour *way_neighbour_update(const struct way_neighbours *set,
					   const struct nlmsghdr *message,
					   struct way_neighbour *before);
/* The kernel knows a link address and thinks it good. */
bool way_neighbour_usable(const struct way_neighbour *neighbour);
/*
 * Asks the kernel to find it, or to check it soon if it has grown stale, as if there were a packet
 * to send (NTF_USE). Failures end in neighbour->error.
 */
int way_neighbour_use(struct mnl_socket *nl, struct way_neighbour *neighbour);

/* All links, the route to each server of a config (in plan_server()'s order), the next hops. */
struct way_survey {
	struct way_links links;
	uint32_t n;
	struct way_route *routes;
	struct way_neighbours neighbours;
};

int way_survey(struct mnl_socket *nl, const struct config *config, struct way_survey *survey);
void way_survey_free(struct way_survey *survey);
/* The gateway, or the address itself. */
const struct config_address *way_next_hop(const struct way_route *route,
					  const struct config_address *address);
/* The route leads through Ethernet that is up, so there is somebody to find. */
bool way_needs_neighbour(const struct way_survey *survey, const struct way_route *route);

#endif
