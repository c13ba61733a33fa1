/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Raw and packet sockets. See send.h.
 */
#include "send.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER (4 << 20) /* for what a device has not taken yet */
#define PORT   9 /* of a socket that sends nothing */

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Without a protocol it receives nothing. */
static int open_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

	if (fd >= 0 && set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER))
		set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER);
	return fd;
}

int send_open(struct sender *sender)
{
	sender->ipv4 = open_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	sender->ipv6 = open_socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
	sender->link = open_socket(AF_PACKET, SOCK_RAW, 0);
	/* A host without IPv6 still has the other one. */
	if (sender->ipv4 < 0 || sender->link < 0 || set(sender->ipv4, IPPROTO_IP, IP_HDRINCL, 1) ||
	    (sender->ipv6 >= 0 && set(sender->ipv6, IPPROTO_IPV6, IPV6_HDRINCL, 1))) {
		int error = -errno;

		send_close(sender);
		return error;
	}
	return 0;
}

void send_close(struct sender *sender)
{
	int *const fds[] = { &sender->ipv4, &sender->ipv6, &sender->link };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int send_to(int fd, const void *octets, size_t length, const void *to, socklen_t size)
{
	return sendto(fd, octets, length, MSG_DONTWAIT | MSG_NOSIGNAL, to, size) < 0 ? -errno : 0;
}

/*
 * The packet without what a short frame is filled up with: of IPv4 the kernel would write the length that it
 * is given into the header.
 */
static size_t stated_length(const uint8_t *packet, size_t length)
{
	size_t stated = packet[0] >> 4 == 4 ? (size_t)packet[2] << 8 | packet[3] :
					      ((size_t)packet[4] << 8 | packet[5]) + 40;

	return stated < length ? stated : length;
}

int send_packet(const struct sender *sender, const uint8_t *packet, size_t length)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };

	length = stated_length(packet, length);
	if (packet[0] >> 4 == 4) {
		memcpy(&to4.sin_addr, packet + 16, sizeof(to4.sin_addr));
		return send_to(sender->ipv4, packet, length, &to4, sizeof(to4));
	}
	memcpy(&to6.sin6_addr, packet + 24, sizeof(to6.sin6_addr));
	return send_to(sender->ipv6, packet, length, &to6, sizeof(to6));
}

int send_frame(const struct sender *sender, uint32_t ifindex, const uint8_t *frame, size_t length)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)ifindex,
				  .sll_halen = 6 };

	memcpy(&to.sll_protocol, frame + 12, sizeof(to.sll_protocol));
	memcpy(to.sll_addr, frame, 6);
	return send_to(sender->link, frame, length, &to, sizeof(to));
}

static int ask(int fd, const struct config_address *to, struct config_address *source,
	       uint32_t *mtu)
{
	bool v4 = to->family == AF_INET;
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	socklen_t size = v4 ? sizeof(to4) : sizeof(to6), number = sizeof(*mtu);
	void *name = v4 ? (void *)&to4 : (void *)&to6;

	memcpy(&to4.sin_addr, to->octets, sizeof(to4.sin_addr));
	memcpy(&to6.sin6_addr, to->octets, sizeof(to6.sin6_addr));
	if (connect(fd, name, size) || getsockname(fd, name, &size) ||
	    getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, mtu, &number))
		return -errno;
	memset(source, 0, sizeof(*source));
	source->family = to->family;
	if (v4)
		memcpy(source->octets, &to4.sin_addr, sizeof(to4.sin_addr));
	else
		memcpy(source->octets, &to6.sin6_addr, sizeof(to6.sin6_addr));
	return 0;
}

int send_route(const struct config_address *to, struct config_address *source, uint32_t *mtu)
{
	int fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return -errno;
	error = ask(fd, to, source, mtu);
	close(fd);
	return error;
}
