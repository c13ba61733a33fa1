/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends a number of Initials that no client means, at a rate: each from an address and port of its own
 * choice, or all from one that is given.
 *
 * They go out by a packet socket as whole frames, so that the sender's host has no say in where they come
 * from. What is in them is random but for the header that RFC 9000 section 17.2.2 wants.
 */
#define _GNU_SOURCE /* sendmmsg() */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BATCH = 32, /* veth's ring holds 256 */
	INITIAL = 1200, /* RFC 9000 section 14.1 */
	CID = 8,
	LONG_INITIAL = 0xc0,
	NSEC = 1000000000,
};

struct endpoint {
	int family;
	uint8_t address[16];
	uint16_t port;
};

struct frame {
	uint8_t octets[sizeof(struct ether_header) + sizeof(struct ip6_hdr) +
		       sizeof(struct udphdr) + INITIAL];
};

struct flood {
	struct ether_header link;
	struct endpoint to, from; /* from.family 0: anywhere */
	uint64_t seed;
};

/* xorshift64*: fast, and good enough for addresses that only have to differ. */
static uint64_t next(struct flood *flood)
{
	flood->seed ^= flood->seed >> 12;
	flood->seed ^= flood->seed << 25;
	flood->seed ^= flood->seed >> 27;
	return flood->seed * 0x2545f4914f6cdd1dULL;
}

static uint32_t add(uint32_t sum, const void *data, size_t length)
{
	const uint8_t *octets = data;

	for (size_t i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)octets[i] << 8 | octets[i + 1];
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Returns the header's length. */
static size_t write_ip(uint8_t *at, const struct flood *flood, const uint8_t *source)
{
	struct iphdr four = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP };
	struct ip6_hdr six = { .ip6_nxt = IPPROTO_UDP, .ip6_hlim = 64 };

	if (flood->to.family == AF_INET) {
		four.tot_len = htons(sizeof(four) + sizeof(struct udphdr) + INITIAL);
		four.frag_off = htons(IP_DF);
		memcpy(&four.saddr, source, sizeof(four.saddr));
		memcpy(&four.daddr, flood->to.address, sizeof(four.daddr));
		four.check = folded(add(0, &four, sizeof(four)));
		memcpy(at, &four, sizeof(four));
		return sizeof(four);
	}
	six.ip6_vfc = 6 << 4;
	six.ip6_plen = htons(sizeof(struct udphdr) + INITIAL);
	memcpy(&six.ip6_src, source, sizeof(six.ip6_src));
	memcpy(&six.ip6_dst, flood->to.address, sizeof(six.ip6_dst));
	memcpy(at, &six, sizeof(six));
	return sizeof(six);
}

/* Octets of an address, in the network's order. */
static size_t address_size(const struct flood *flood)
{
	return flood->to.family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

static struct endpoint anywhere(struct flood *flood)
{
	struct endpoint from = flood->to;
	size_t octets = address_size(flood);
	uint64_t who = next(flood);

	memcpy(from.address + octets - sizeof(uint32_t), &who, sizeof(uint32_t));
	/* 10.128.0.0/9 and fdff::/16: no address of a bed. */
	from.address[0] = octets == sizeof(struct in_addr) ? 10 : 0xfd;
	from.address[1] = octets == sizeof(struct in_addr) ? from.address[1] | 0x80 : 0xff;
	from.port = (uint16_t)(who >> 32) | htons(1024);
	return from;
}

static void write_initial(uint8_t *at, struct flood *flood)
{
	const uint8_t version[] = { 0, 0, 0, 1 };
	uint64_t cids[2] = { next(flood), next(flood) };

	at[0] = LONG_INITIAL;
	memcpy(at + 1, version, sizeof(version));
	at[5] = CID;
	memcpy(at + 6, &cids[0], CID);
	/* Config id 7: no balancer can read it. */
	at[6] |= 0xe0;
	at[6 + CID] = CID;
	memcpy(at + 7 + CID, &cids[1], CID);
}

/* Returns the frame's length. */
static size_t write_frame(struct frame *frame, struct flood *flood)
{
	struct endpoint from = flood->from.family ? flood->from : anywhere(flood);
	struct udphdr header = { .source = from.port,
				 .dest = flood->to.port,
				 .len = htons(sizeof(header) + INITIAL) };
	uint8_t *ip = frame->octets + sizeof(flood->link), *udp;
	uint32_t sum;

	memcpy(frame->octets, &flood->link, sizeof(flood->link));
	udp = ip + write_ip(ip, flood, from.address);
	write_initial(udp + sizeof(header), flood);
	memcpy(udp, &header, sizeof(header));
	sum = add(IPPROTO_UDP + sizeof(header) + INITIAL, from.address, address_size(flood));
	sum = add(sum, flood->to.address, address_size(flood));
	header.check = folded(add(sum, udp, sizeof(header) + INITIAL));
	/* RFC 768: a sum of zero goes as its complement, for zero says that there is none. */
	if (!header.check)
		header.check = 0xffff;
	memcpy(udp, &header, sizeof(header));
	return (size_t)(udp - frame->octets) + sizeof(header) + INITIAL;
}

static int send_batch(int fd, struct flood *flood, unsigned int n)
{
	static struct frame frames[BATCH];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH] = {};
	unsigned int done = 0;

	for (unsigned int i = 0; i < n; i++) {
		parts[i] = (struct iovec){ frames[i].octets, write_frame(&frames[i], flood) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	while (done < n) {
		int sent = sendmmsg(fd, messages + done, n - done, 0);

		if (sent < 0 && errno != ENOBUFS && errno != EINTR)
			return -errno;
		done += sent > 0 ? (unsigned int)sent : 0;
	}
	return 0;
}

static int run(int fd, struct flood *flood, unsigned long count, unsigned long rate)
{
	struct timespec start, due;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned long sent = 0; sent < count && !err;) {
		unsigned long n = count - sent < BATCH ? count - sent : BATCH;
		uint64_t at = (uint64_t)start.tv_nsec + sent * NSEC / rate;

		due = (struct timespec){ start.tv_sec + (time_t)(at / NSEC), (long)(at % NSEC) };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
		err = send_batch(fd, flood, (unsigned int)n);
		sent += n;
	}
	clock_gettime(CLOCK_MONOTONIC, &due);
	if (!err)
		printf("{\"sent\": %lu, \"seconds\": %.3f}\n", count,
		       (double)(due.tv_sec - start.tv_sec) +
			       (double)(due.tv_nsec - start.tv_nsec) / NSEC);
	return err;
}

/* "ADDRESS PORT", two words of the command line. */
static bool read_endpoint(struct endpoint *endpoint, const char *address, const char *port)
{
	endpoint->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	endpoint->port = htons((uint16_t)strtoul(port, NULL, 10));
	return endpoint->port && inet_pton(endpoint->family, address, endpoint->address) == 1;
}

static bool read_mac(uint8_t *mac, const char *text)
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3,
		      mac + 4, mac + 5) == ETH_ALEN;
}

static int open_socket(const char *interface)
{
	struct sockaddr_ll where = { .sll_family = AF_PACKET,
				     .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || !where.sll_ifindex || bind(fd, (struct sockaddr *)&where, sizeof(where))) {
		fprintf(stderr, "flood: %s: %s\n", interface, strerror(errno));
		return -1;
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct flood flood = { .link.ether_type = htons(ETHERTYPE_IP) };
	unsigned long count, rate;
	int fd, err;

	if ((argc != 8 && argc != 10) || !read_mac(flood.link.ether_dhost, argv[2]) ||
	    !read_endpoint(&flood.to, argv[3], argv[4]) || !(count = strtoul(argv[5], NULL, 10)) ||
	    !(rate = strtoul(argv[6], NULL, 10)) || !read_mac(flood.link.ether_shost, argv[7]) ||
	    (argc == 10 && (!read_endpoint(&flood.from, argv[8], argv[9]) ||
			    flood.from.family != flood.to.family))) {
		fprintf(stderr,
			"usage: flood IFACE TO-MAC TO-ADDRESS TO-PORT COUNT A-SECOND FROM-MAC "
			"[FROM-ADDRESS FROM-PORT]\n");
		return 2;
	}
	if (flood.to.family == AF_INET6)
		flood.link.ether_type = htons(ETHERTYPE_IPV6);
	if (getrandom(&flood.seed, sizeof(flood.seed), 0) != sizeof(flood.seed))
		return 1;
	flood.seed |= 1;
	fd = open_socket(argv[1]);
	if (fd < 0)
		return 1;
	err = run(fd, &flood, count, rate);
	if (err)
		fprintf(stderr, "flood: %s: %s\n", argv[1], strerror(-err));
	close(fd);
	return err ? 1 : 0;
}
