/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Asks the kernel about links, routes and neighbours, and reads its answers.
 */
#include "way_internal.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "plan.h"

/* Room for a burst of notifications while we are busy; what does not fit is told by ENOBUFS. */
#define WAY_RECEIVE_BUFFER (4 << 20)

struct mnl_socket *way_socket(unsigned int groups)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int size = WAY_RECEIVE_BUFFER;

	if (!nl)
		return NULL;
	if (groups &&
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID)) {
		int error = errno;

		mnl_socket_close(nl);
		errno = error;
		return NULL;
	}
	return nl;
}

/*
 * libmnl gives a dump up at the mark that something changed meanwhile, and the rest would stay in
 * the socket: the mark is taken off and remembered.
 */
static bool take_interruption(void *buffer, int length)
{
	struct nlmsghdr *message = buffer;
	bool interrupted = false;

	for (; mnl_nlmsg_ok(message, length); message = mnl_nlmsg_next(message, &length)) {
		interrupted |= message->nlmsg_flags & NLM_F_DUMP_INTR;
		message->nlmsg_flags &= ~NLM_F_DUMP_INTR;
	}
	return interrupted;
}

/* The socket is for requests only, so nothing else comes in. */
int way_ask(struct mnl_socket *nl, struct nlmsghdr *request, mnl_cb_t callback, void *context)
{
	static unsigned int sequence;
	bool dump = request->nlmsg_flags & NLM_F_DUMP, interrupted = false;
	char buffer[32768];
	ssize_t length;
	int more;

	request->nlmsg_seq = ++sequence;
	if (mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		length = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
		if (length < 0)
			return -errno;
		if (dump)
			interrupted |= take_interruption(buffer, length);
		more = mnl_cb_run(buffer, length, request->nlmsg_seq, mnl_socket_get_portid(nl),
				  callback, context);
	} while (more > MNL_CB_STOP);
	if (more < 0)
		return -errno;
	return interrupted ? -EINTR : 0;
}

size_t way_address_size(int family)
{
	return family == AF_INET ? 4 : 16;
}

void way_address_read(struct config_address *address, int family, const struct nlattr *attr)
{
	memset(address, 0, sizeof(*address));
	if ((family != AF_INET && family != AF_INET6) ||
	    mnl_attr_get_payload_len(attr) < way_address_size(family))
		return;
	address->family = family;
	memcpy(address->octets, mnl_attr_get_payload(attr), way_address_size(family));
}

static int compare_links(const void *a, const void *b)
{
	const struct way_link *left = a, *right = b;

	return (left->index > right->index) - (left->index < right->index);
}

static void link_kind(const struct nlattr *info, struct way_link *link)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info) if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		strncpy(link->kind, mnl_attr_get_str(attr), sizeof(link->kind) - 1);
}

void way_link_read(const struct nlmsghdr *message, struct way_link *link)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr;

	memset(link, 0, sizeof(*link));
	link->index = info->ifi_index;
	link->flags = info->ifi_flags;
	link->type = info->ifi_type;
	mnl_attr_for_each(attr, message, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			strncpy(link->name, mnl_attr_get_str(attr), sizeof(link->name) - 1);
			break;
		case IFLA_MTU:
			link->mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINKINFO:
			link_kind(attr, link);
			break;
		case IFLA_ADDRESS:
			link->has_mac = mnl_attr_get_payload_len(attr) == sizeof(link->mac);
			if (link->has_mac)
				memcpy(link->mac, mnl_attr_get_payload(attr), sizeof(link->mac));
			break;
		}
	}
}

static int link_seen(const struct nlmsghdr *message, void *context)
{
	struct way_links *links = context;
	struct way_link *list;

	if (message->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	list = realloc(links->list, (links->n + 1) * sizeof(*list));
	if (!list)
		return MNL_CB_ERROR;
	links->list = list;
	way_link_read(message, &list[links->n++]);
	return MNL_CB_OK;
}

int way_links(struct mnl_socket *nl, struct way_links *links)
{
	char buffer[128] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	int error;

	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	/* Without it the kernel counts every device's statistics for nobody. */
	mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	*links = (struct way_links){};
	do {
		way_links_free(links);
		error = way_ask(nl, request, link_seen, links);
	} while (error == -EINTR);
	if (error)
		way_links_free(links);
	else if (links->n)
		qsort(links->list, links->n, sizeof(*links->list), compare_links);
	return error;
}

void way_links_free(struct way_links *links)
{
	free(links->list);
	*links = (struct way_links){};
}

const struct way_link *way_link(const struct way_links *links, uint32_t index)
{
	struct way_link key = { .index = index };

	if (!links->n)
		return NULL;
	return bsearch(&key, links->list, links->n, sizeof(key), compare_links);
}

static int compare_neighbours(const void *a, const void *b)
{
	const struct way_neighbour *left = a, *right = b;

	if (left->link != right->link)
		return left->link < right->link ? -1 : 1;
	if (left->address.family != right->address.family)
		return left->address.family < right->address.family ? -1 : 1;
	return memcmp(left->address.octets, right->address.octets, sizeof(left->address.octets));
}

void way_neighbours_sort(struct way_neighbours *set)
{
	size_t kept = 0;

	if (!set->n)
		return;
	qsort(set->list, set->n, sizeof(*set->list), compare_neighbours);
	for (size_t i = 1; i < set->n; i++)
		if (compare_neighbours(&set->list[kept], &set->list[i]))
			set->list[++kept] = set->list[i];
	set->n = kept + 1;
}

void way_neighbours_free(struct way_neighbours *set)
{
	free(set->list);
	*set = (struct way_neighbours){};
}

struct way_neighbour *way_neighbour(const struct way_neighbours *set, uint32_t link,
				    const struct config_address *address)
{
	struct way_neighbour key = { .link = link, .address = *address };

	if (!set->n)
		return NULL;
	return bsearch(&key, set->list, set->n, sizeof(key), compare_neighbours);
}

struct way_neighbour *way_neighbour_update(const struct way_neighbours *set,
					   const struct nlmsghdr *message,
					   struct way_neighbour *before)
{
	const struct ndmsg *info = mnl_nlmsg_get_payload(message);
	struct config_address address = {};
	const struct nlattr *attr, *mac = NULL;
	struct way_neighbour *neighbour;

	mnl_attr_for_each(attr, message, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == NDA_DST)
			way_address_read(&address, info->ndm_family, attr);
		else if (mnl_attr_get_type(attr) == NDA_LLADDR)
			mac = attr;
	}
	neighbour = way_neighbour(set, info->ndm_ifindex, &address);
	if (!neighbour)
		return NULL;
	*before = *neighbour;
	neighbour->state = message->nlmsg_type == RTM_DELNEIGH ? 0 : info->ndm_state;
	if (mac && mnl_attr_get_payload_len(mac) == sizeof(neighbour->mac))
		memcpy(neighbour->mac, mnl_attr_get_payload(mac), sizeof(neighbour->mac));
	else
		memset(neighbour->mac, 0, sizeof(neighbour->mac));
	return neighbour;
}

static int neighbour_seen(const struct nlmsghdr *message, void *context)
{
	struct way_neighbour before;

	if (message->nlmsg_type == RTM_NEWNEIGH)
		way_neighbour_update(context, message, &before);
	return MNL_CB_OK;
}

int way_neighbours_dump(struct mnl_socket *nl, struct way_neighbours *set)
{
	char buffer[128] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	int error;

	request->nlmsg_type = RTM_GETNEIGH;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ndmsg));
	do {
		for (size_t i = 0; i < set->n; i++)
			set->list[i].state = 0;
		error = way_ask(nl, request, neighbour_seen, set);
	} while (error == -EINTR);
	return error;
}

bool way_neighbour_usable(const struct way_neighbour *neighbour)
{
	return neighbour->state &
	       (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP);
}

int way_neighbour_use(struct mnl_socket *nl, struct way_neighbour *neighbour)
{
	char buffer[128] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ndmsg *info;

	request->nlmsg_type = RTM_NEWNEIGH;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK;
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->ndm_family = neighbour->address.family;
	info->ndm_ifindex = neighbour->link;
	info->ndm_flags = NTF_USE;
	mnl_attr_put(request, NDA_DST, way_address_size(neighbour->address.family),
		     neighbour->address.octets);
	neighbour->error = way_ask(nl, request, NULL, NULL);
	return neighbour->error;
}

const struct config_address *way_next_hop(const struct way_route *route,
					  const struct config_address *address)
{
	return route->gateway.family ? &route->gateway : address;
}

bool way_needs_neighbour(const struct way_survey *survey, const struct way_route *route)
{
	const struct way_link *link = way_link(&survey->links, route->link);

	return !route->error && route->type == RTN_UNICAST && link && link->type == ARPHRD_ETHER &&
	       (link->flags & IFF_UP) && (link->flags & IFF_RUNNING);
}

static int survey_routes(struct mnl_socket *nl, const struct config *config,
			 struct way_survey *survey)
{
	struct way_neighbours *neighbours = &survey->neighbours;
	const struct config_address **addresses = calloc(survey->n + 1, sizeof(*addresses));
	uint32_t n = 0;
	int error = -ENOMEM;

	for (uint32_t pool = 0; addresses && pool < config->n_pools; pool++)
		for (uint32_t i = 0; i < config->pools[pool].n_servers; i++)
			addresses[n++] = &config->pools[pool].servers[i].address;
	if (addresses)
		error = way_routes(nl, addresses, n, survey->routes);
	for (uint32_t i = 0; !error && i < n; i++)
		if (way_needs_neighbour(survey, &survey->routes[i]))
			neighbours->list[neighbours->n++] = (struct way_neighbour){
				.link = survey->routes[i].link,
				.address = *way_next_hop(&survey->routes[i], addresses[i]),
			};
	free(addresses);
	if (!error)
		way_neighbours_sort(neighbours);
	return error;
}

int way_survey(struct mnl_socket *nl, const struct config *config, struct way_survey *survey)
{
	int error;

	*survey = (struct way_survey){ .n = plan_count_servers(config) };
	survey->routes = calloc(survey->n + 1, sizeof(*survey->routes));
	survey->neighbours.list = calloc(survey->n + 1, sizeof(*survey->neighbours.list));
	error = survey->routes && survey->neighbours.list ? way_links(nl, &survey->links) : -ENOMEM;
	if (!error)
		error = survey_routes(nl, config, survey);
	if (!error)
		error = way_neighbours_dump(nl, &survey->neighbours);
	if (error)
		way_survey_free(survey);
	return error;
}

void way_survey_free(struct way_survey *survey)
{
	way_links_free(&survey->links);
	way_neighbours_free(&survey->neighbours);
	free(survey->routes);
	*survey = (struct way_survey){};
}
