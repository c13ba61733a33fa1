/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Asks the kernel for the routes to addresses: many at once, for a system call takes longer than its answer.
 */
#include "way_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define VOLLEY	     24 /* whose answers find room in a socket's usual buffer */
#define REQUEST_SIZE 64
#define ANSWER_SIZE  1024

/* RTA_VIA: a gateway of another family than the route's. */
static void via_read(struct config_address *address, const struct nlattr *attr)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t size = way_address_size(via->rtvia_family);

	if (mnl_attr_get_payload_len(attr) < sizeof(*via) + size)
		return;
	address->family = via->rtvia_family;
	memcpy(address->octets, via->rtvia_addr, size);
}

static void metrics_read(const struct nlattr *metrics, struct way_route *route)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics) if (mnl_attr_get_type(attr) == RTAX_MTU)
		route->mtu = mnl_attr_get_u32(attr);
}

static int route_seen(const struct nlmsghdr *message, void *context)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);
	struct way_route *route = context;
	const struct nlattr *attr;

	if (message->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	route->type = info->rtm_type;
	mnl_attr_for_each(attr, message, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			route->link = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			way_address_read(&route->gateway, info->rtm_family, attr);
			break;
		case RTA_VIA:
			via_read(&route->gateway, attr);
			break;
		case RTA_METRICS:
			metrics_read(attr, route);
			break;
		case RTA_PREFSRC:
			way_address_read(&route->source, info->rtm_family, attr);
			break;
		}
	}
	/* The one answer to a request without NLM_F_ACK: nothing follows it. */
	return MNL_CB_STOP;
}

/* A route that does not exist is an answer as well. False: the kernel could not answer. */
static bool take_verdict(struct way_route *route, int error)
{
	route->error = error;
	return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EACCES ||
	       error == -EINVAL;
}

static struct nlmsghdr *put_request(void *buffer, const struct config_address *address)
{
	size_t size = way_address_size(address->family);
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct rtmsg *info;

	request->nlmsg_type = RTM_GETROUTE;
	request->nlmsg_flags = NLM_F_REQUEST;
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->rtm_family = address->family;
	info->rtm_dst_len = 8 * size;
	mnl_attr_put(request, RTA_DST, size, address->octets);
	return request;
}

static int ask_one(struct mnl_socket *nl, const struct config_address *address,
		   struct way_route *route)
{
	char buffer[REQUEST_SIZE];
	int error;

	*route = (struct way_route){};
	error = way_ask(nl, put_request(buffer, address), route_seen, route);
	return error && !take_verdict(route, error) ? error : 0;
}

/* Requests that go out in one datagram, and their answers. */
struct volley {
	struct mnl_socket *nl;
	uint32_t first, n; /* positions of the addresses */
	uint32_t left; /* not yet answered */
	struct way_route *routes; /* by position */
	bool answered[VOLLEY];
	char requests[VOLLEY * REQUEST_SIZE];
	char answers[VOLLEY][ANSWER_SIZE];
};

static int send_volley(struct volley *volley, const struct config_address *const *addresses)
{
	size_t length = 0;

	for (uint32_t i = 0; i < volley->n; i++) {
		uint32_t at = volley->first + i;
		struct nlmsghdr *request = put_request(volley->requests + length, addresses[at]);

		request->nlmsg_seq = at;
		length += MNL_ALIGN(request->nlmsg_len);
		volley->answered[i] = false;
		volley->routes[at] = (struct way_route){};
	}
	return mnl_socket_sendto(volley->nl, volley->requests, length) < 0 ? -errno : 0;
}

static void take_answer(struct volley *volley, const struct nlmsghdr *answer)
{
	uint32_t i = answer->nlmsg_seq - volley->first;

	if (i >= volley->n)
		return;
	if (answer->nlmsg_type == RTM_NEWROUTE) {
		route_seen(answer, &volley->routes[answer->nlmsg_seq]);
		volley->answered[i] = true;
	} else if (answer->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = mnl_nlmsg_get_payload(answer);

		volley->answered[i] =
			take_verdict(&volley->routes[answer->nlmsg_seq], error->error);
	}
	volley->left--;
}

/* The kernel has answered before the request's system call is over: what is not there does not come. */
static int read_answers(struct volley *volley)
{
	struct mmsghdr messages[VOLLEY] = {};
	struct iovec parts[VOLLEY];
	int n;

	for (uint32_t i = 0; i < volley->n; i++) {
		parts[i] = (struct iovec){ volley->answers[i], ANSWER_SIZE };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(mnl_socket_get_fd(volley->nl), messages, volley->n, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		struct nlmsghdr *answer = (struct nlmsghdr *)volley->answers[i];

		if (mnl_nlmsg_ok(answer, messages[i].msg_len))
			take_answer(volley, answer);
	}
	return n;
}

static int ask_many(struct volley *volley, const struct config_address *const *addresses)
{
	int error = send_volley(volley, addresses);

	while (!error && volley->left && read_answers(volley) > 0)
		;
	/* Whose answer found no room in the socket is asked again. */
	for (uint32_t i = 0; !error && i < volley->n; i++)
		if (!volley->answered[i])
			error = ask_one(volley->nl, addresses[volley->first + i],
					&volley->routes[volley->first + i]);
	return error;
}

int way_routes(struct mnl_socket *nl, const struct config_address *const *addresses, uint32_t n,
	       struct way_route *routes)
{
	struct volley *volley = malloc(sizeof(*volley));
	int error = volley ? 0 : -ENOMEM;

	for (uint32_t at = 0; !error && at < n; at += volley->n) {
		volley->nl = nl;
		volley->first = at;
		volley->n = n - at < VOLLEY ? n - at : VOLLEY;
		volley->left = volley->n;
		volley->routes = routes;
		error = ask_many(volley, addresses);
	}
	free(volley);
	return error;
}
