/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* UDP sockets, for IPv4 and IPv6 alike. */
#include "udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SOCKET_BUFFER = 4 << 20,
	ECN_BITS = 0x3,
};

const char *udp_parse(const char *text, union address *addr, socklen_t *len)
{
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');
	char *end;
	unsigned long port;

	memset(addr, 0, sizeof(*addr));
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return "wants ADDR:PORT or [ADDR]:PORT";
	port = strtoul(colon + 1, &end, 10);
	if (*end || end == colon + 1 || port > 65535)
		return "the port is 0 to 65535";
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &addr->in6.sin6_addr) != 1)
			return "not an IPv6 address";
		/* A reply must leave with the address that was asked, and bind() sees to it. */
		if (IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr))
			return "name the address itself, not [::]";
		addr->in6.sin6_family = AF_INET6;
		addr->in6.sin6_port = htons((uint16_t)port);
		*len = sizeof(addr->in6);
		return NULL;
	}
	if (inet_pton(AF_INET, host, &addr->in.sin_addr) != 1)
		return "not an IPv4 address (IPv6 goes into brackets)";
	if (addr->in.sin_addr.s_addr == htonl(INADDR_ANY))
		return "name the address itself, not 0.0.0.0";
	addr->in.sin_family = AF_INET;
	addr->in.sin_port = htons((uint16_t)port);
	*len = sizeof(addr->in);
	return NULL;
}

int udp_open(struct udp *u)
{
	int family = u->local.sa.sa_family;
	int one = 1, size = SOCKET_BUFFER;
	/* NOLINTNEXTLINE(bugprone-branch-clone): two names that have one value */
	int probe = family == AF_INET ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
	int rc;

	u->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (u->fd < 0)
		goto fail;
	setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* RFC 9000 14: QUIC packets must not be fragmented; libngtcp2 finds the path MTU itself. */
	if (family == AF_INET) {
		rc = setsockopt(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe));
		rc |= setsockopt(u->fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
	} else {
		rc = setsockopt(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof(probe));
		rc |= setsockopt(u->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(one));
		rc |= setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	}
	if (rc || bind(u->fd, &u->local.sa, u->local_len) ||
	    getsockname(u->fd, &u->local.sa, &u->local_len))
		goto fail;
	return 0;
fail:
	return -errno;
}

void udp_close(struct udp *u)
{
	if (u->fd >= 0)
		close(u->fd);
}

ssize_t udp_receive(struct udp *u, uint8_t *buf, size_t size, union address *peer,
		    socklen_t *peer_len, uint32_t *ecn)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = {
		.msg_name = peer,
		.msg_namelen = sizeof(*peer),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	memset(peer, 0, sizeof(*peer));
	*ecn = 0;
	n = recvmsg(u->fd, &msg, MSG_DONTWAIT);
	if (n < 0)
		return n;
	*peer_len = msg.msg_namelen;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		int tclass;

		/* The kernel reports the IPv4 TOS as one octet, the IPv6 traffic class as an int. */
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			*ecn = *(uint8_t *)CMSG_DATA(c) & ECN_BITS;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			memcpy(&tclass, CMSG_DATA(c), sizeof(tclass));
			*ecn = (uint32_t)tclass & ECN_BITS;
		}
	}
	return n;
}

void udp_send(struct udp *u, const struct sockaddr *peer, socklen_t peer_len, uint32_t ecn,
	      const uint8_t *buf, size_t len)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (uint8_t *)buf, .iov_len = len };
	struct msghdr msg = {
		.msg_name = (struct sockaddr *)peer,
		.msg_namelen = peer_len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	int mark = (int)(ecn & ECN_BITS);

	if (mark) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = peer->sa_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
		c->cmsg_type = peer->sa_family == AF_INET ? IP_TOS : IPV6_TCLASS;
		c->cmsg_len = CMSG_LEN(sizeof(mark));
		memcpy(CMSG_DATA(c), &mark, sizeof(mark));
	}
	/*
	 * The socket blocks, so a full send buffer slows this process down instead of losing a
	 * burst of packets on this host. What still fails (a probe larger than the interface's
	 * MTU, no route for a moment) counts as loss on the way.
	 */
	while (sendmsg(u->fd, &msg, 0) < 0 && errno == EINTR)
		;
}
