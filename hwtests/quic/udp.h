/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One bound UDP socket: receive and send datagrams with their ECN mark. */
#ifndef HWTESTS_QUIC_UDP_H
#define HWTESTS_QUIC_UDP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct udp {
	int fd;
	union address local;
	socklen_t local_len;
};

/* ADDR:PORT or [ADDR]:PORT; NULL, or what is wrong with it. */
const char *udp_parse(const char *text, union address *addr, socklen_t *len);

/* Binds u->local and reads the chosen port back; 0 or -errno, after which udp_close() is due. */
int udp_open(struct udp *u);
void udp_close(struct udp *u);

/* Length of the next datagram, or -1 with errno EAGAIN if none waits. */
ssize_t udp_receive(struct udp *u, uint8_t *buf, size_t size, union address *peer,
		    socklen_t *peer_len, uint32_t *ecn);

/* A datagram that cannot be sent is a lost one: QUIC copes. */
void udp_send(struct udp *u, const struct sockaddr *peer, socklen_t peer_len, uint32_t ecn,
	      const uint8_t *buf, size_t len);

#endif
