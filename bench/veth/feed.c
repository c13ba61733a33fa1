/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames for a process, as fast as it takes them and no faster: some are under way at a time, sent by a
 * packet socket. A test run of live frames would stop all CPUs for a moment each time it begins.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "veth/street.h"

#define AT_ONCE	      32
#define GIVE_UP_AFTER 5000000000u /* ns */

static int open_socket(uint32_t ifindex)
{
	const struct sockaddr_ll device = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (const struct sockaddr *)&device, sizeof(device)))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* The frames of the span from number `first` on. */
static int send_frames(int fd, const struct street *street, const struct harness_span *span,
		       uint64_t first, uint32_t n)
{
	static uint8_t octets[AT_ONCE][BENCH_FRAME];
	struct mmsghdr messages[AT_ONCE] = {};
	struct iovec parts[AT_ONCE];
	uint32_t done = 0;
	int sent;

	for (uint32_t i = 0; i < n; i++) {
		memcpy(octets[i],
		       &harness_frames(street->harness)[span->base + (first + i) % span->count],
		       sizeof(struct harness_frame));
		parts[i] = (struct iovec){ octets[i], sizeof(octets[i]) };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (done < n) {
		sent = sendmmsg(fd, messages + done, n - done, 0);
		if (sent < 0)
			return -errno;
		done += (uint32_t)sent;
	}
	return 0;
}

int feed_one(const struct street *street, const struct harness_span *span)
{
	int fd = open_socket(street->pairs[0].near), error;

	if (fd < 0)
		return fd;
	error = send_frames(fd, street, span, 0, 1);
	close(fd);
	return error;
}

/* Until there is room for more under way, or what is has been lost. */
static void wait_for_room(const struct ends *ends, uint64_t from, uint64_t sent, uint32_t room,
			  uint64_t *lost)
{
	uint64_t met = ends_met(ends, -1) - from, since = clock_ns(CLOCK_MONOTONIC), before = met;

	while (sent > met + *lost + VETH_UNDER_WAY - room) {
		sched_yield();
		met = ends_met(ends, -1) - from;
		if (met != before)
			since = clock_ns(CLOCK_MONOTONIC);
		else if (clock_ns(CLOCK_MONOTONIC) - since > LOST_AFTER)
			*lost = sent - met;
		before = met;
	}
}

static int feed(int fd, const struct street *street, const struct place *place, uint32_t frames,
		struct walk *found)
{
	uint64_t from = ends_met(&street->ends, -1), begin = clock_ns(CLOCK_MONOTONIC), lost = 0;
	int error = 0;

	while (found->sent < frames && !error &&
	       clock_ns(CLOCK_MONOTONIC) - begin < GIVE_UP_AFTER) {
		wait_for_room(&street->ends, from, found->sent, AT_ONCE, &lost);
		error = send_frames(fd, street, &place->span, found->sent, AT_ONCE);
		found->sent += AT_ONCE;
	}
	wait_for_room(&street->ends, from, found->sent, VETH_UNDER_WAY, &lost);
	found->clock = clock_ns(CLOCK_MONOTONIC) - begin;
	found->met = ends_met(&street->ends, -1) - from;
	return error;
}

int feed_process(const struct street *street, const struct place *place, uint32_t frames,
		 struct walk *found)
{
	struct spin spin;
	clockid_t clock;
	int fd, error = -clock_getcpuclockid(place->process, &clock);

	if (!error)
		error = spin_stay(street->cpus[0]);
	if (error)
		return error;
	fd = open_socket(street->pairs[0].near);
	if (fd < 0)
		return fd;
	spin_open(street->cpus[street->n_cpus - 1], clock, &spin);
	*found = (struct walk){};
	found->time = spin_time(&spin);
	error = feed(fd, street, place, frames, found);
	found->time = spin_time(&spin) - found->time;
	spin_close(&spin);
	close(fd);
	return error;
}
