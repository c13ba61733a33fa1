/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames of many connections: QUIC short headers with the CIDs that the servers would have issued.
 *
 * Neighbours in the map have nothing to do with each other, so taking them one after the other visits
 * servers and tables at random, while the frames themselves come in as from a card: not from the far
 * end of memory.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <string.h>

#include "lb/cipher.h"
#include "lb/csum.h"
#include "lb/parse.h"

#define UNUSED_CONFIG 5

const uint8_t frames_key[CONFIG_KEY_SIZE] = "only for a bench";

static uint32_t scatter(uint32_t x)
{
	x = (x ^ x >> 16) * 0x7feb352d;
	x = (x ^ x >> 15) * 0x846ca68b;
	return x ^ x >> 16;
}

uint32_t frames_server(uint32_t connection)
{
	return scatter(connection ^ 0x5eed) % BENCH_SERVERS;
}

uint32_t frames_config_id(enum frame_kind kind)
{
	return kind <= FRAME_FOUR ? kind : FRAME_CLEAR;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint8_t *write_ipv4(uint8_t *at, uint32_t client, const char *vip, enum frame_kind kind)
{
	uint32_t sum = 0;

	at[0] = 0x45;
	put16(at + 2, BENCH_FRAME - LB_ETH_LENGTH);
	at[6] = 0x40; /* do not fragment */
	at[8] = 57;
	at[9] = kind == FRAME_NOT_UDP ? IPPROTO_TCP : IPPROTO_UDP;
	put32(at + 12, 0x64000000 | (client & 0x3fffff));
	inet_pton(AF_INET, vip, at + 16);
	for (int i = 0; i < 20; i += 4)
		sum += lb_csum_word(lb_load32(at + i));
	sum = (uint16_t)~lb_csum_fold(sum);
	memcpy(at + 10, &sum, 2);
	return at + LB_IPV4_LENGTH;
}

static uint8_t *write_ipv6(uint8_t *at, uint32_t client, const char *vip, enum frame_kind kind)
{
	at[0] = 0x60;
	put16(at + 4, BENCH_FRAME - LB_ETH_LENGTH - LB_IPV6_LENGTH);
	at[6] = kind == FRAME_NOT_UDP ? IPPROTO_TCP : IPPROTO_UDP;
	at[7] = 57;
	put32(at + 8, 0x20010db8);
	put32(at + 20, client);
	inet_pton(AF_INET6, vip, at + 24);
	return at + LB_IPV6_LENGTH;
}

static const struct config_cid *find_format(const struct config *config, uint32_t id)
{
	const struct config_cid *format = config->cids;

	while (format->id != id)
		format++;
	return format;
}

/* The connection's number is in the nonce, so no two CIDs are the same. */
static void write_cid(uint8_t *at, const struct config *config, const struct config_cid *format,
		      const struct lb_cid_key *key, uint32_t connection)
{
	const struct config_server *server =
		plan_server(config, frames_server(connection), &(uint32_t){ 0 });
	uint32_t body = format->server_id_length + format->nonce_length;

	at[0] = (uint8_t)(format->id << 5 | body);
	for (uint32_t i = 0; i < server->n_ids; i++)
		if (server->ids[i].config == format->id)
			memcpy(at + 1, server->ids[i].id, format->server_id_length);
	for (uint32_t i = 0; i < format->nonce_length; i++)
		at[1 + format->server_id_length + i] = (uint8_t)(scatter(connection + i) >> 8);
	put32(at + 1 + body - 4, connection);
	if (format->keyed)
		lb_cid_encrypt(&key->aes, at + 1, body);
}

/* The prepared octets alone, for those behind them are zero. ip: of a frame that has no UDP checksum yet. */
static void write_checksum(uint8_t *ip, int version)
{
	uint8_t *udp = ip + (version == 4 ? LB_IPV4_LENGTH : LB_IPV6_LENGTH);
	uint8_t *end = ip + HARNESS_OCTETS - LB_ETH_LENGTH;
	uint64_t sum = htons(IPPROTO_UDP) + lb_load16(udp + 4);

	for (uint8_t *at = ip + (version == 4 ? 12 : 8); at < udp; at += 4)
		sum += lb_csum_word(lb_load32(at));
	for (uint8_t *at = udp; at < end; at += 2)
		sum += lb_load16(at);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = (uint16_t)~sum;
	memcpy(udp + 6, sum ? (uint8_t *)&sum : (uint8_t[]){ 0xff, 0xff }, 2);
}

/* A long header of version 1, with connection IDs of eight octets that no server has issued. */
static void write_initial(uint8_t *at, uint32_t connection)
{
	at[0] = 0xc0;
	put32(at + 1, 1);
	at[5] = at[14] = 8;
	at[6] = UNUSED_CONFIG << 5 | 7;
	put32(at + 7, scatter(connection));
	put32(at + 15, scatter(connection + 1));
	put32(at + 19, connection);
}

/* A short header, or what its CID is written over later. */
static void write_short(uint8_t *at, uint32_t connection)
{
	at[0] = 0x40;
	at[1] = UNUSED_CONFIG << 5 | 19;
	put32(at + 2, scatter(connection));
}

static void write_frame(uint8_t *at, uint32_t connection, enum frame_kind kind, int version)
{
	const char *vip4 = kind == FRAME_NOT_VIP ? "192.0.2.81" : "192.0.2.80";
	const char *vip6 = kind == FRAME_NOT_VIP ? "2001:db8::51" : "2001:db8::50";

	memset(at, 0, HARNESS_OCTETS);
	at[0] = at[6] = 2;
	at[5] = 1, at[11] = 2;
	put16(at + 12, version == 4 ? LB_ETHERTYPE_IPV4 : LB_ETHERTYPE_IPV6);
	at += LB_ETH_LENGTH;
	at = version == 4 ? write_ipv4(at, scatter(connection), vip4, kind) :
			    write_ipv6(at, scatter(connection), vip6, kind);
	put16(at, 1024 + scatter(connection + 1) % 60000);
	put16(at + 2, BENCH_PORT);
	put16(at + 4,
	      BENCH_FRAME - LB_ETH_LENGTH - (version == 4 ? LB_IPV4_LENGTH : LB_IPV6_LENGTH));
	if (kind == FRAME_INITIAL)
		write_initial(at + LB_UDP_LENGTH, connection);
	else
		write_short(at + LB_UDP_LENGTH, connection);
}

/* From the server's address and port to the client's. IPv4 alone. */
static void turn_around(uint8_t *ip, const struct config_server *server)
{
	uint8_t *udp = ip + LB_IPV4_LENGTH, client[4], port[2];
	uint32_t sum = 0;

	memcpy(client, ip + 12, sizeof(client));
	memcpy(port, udp, sizeof(port));
	memcpy(ip + 12, server->address.octets, 4);
	memcpy(ip + 16, client, 4);
	put16(udp, BENCH_SERVER_PORT);
	memcpy(udp + 2, port, sizeof(port));
	put16(ip + 10, 0);
	for (int i = 0; i < 20; i += 4)
		sum += lb_csum_word(lb_load32(ip + i));
	sum = (uint16_t)~lb_csum_fold(sum);
	memcpy(ip + 10, &sum, 2);
}

/* Whether it carries a server's connection ID. */
static bool has_cid(enum frame_kind kind)
{
	return kind != FRAME_HASH && kind != FRAME_INITIAL && kind != FRAME_ANSWER;
}

void frames_fill(struct harness_frame *frames, uint32_t n, const struct config *config,
		 enum frame_kind kind, int version)
{
	const struct config_cid *format = find_format(config, frames_config_id(kind));
	uint32_t at = LB_ETH_LENGTH + LB_UDP_LENGTH + 1 +
		      (version == 4 ? LB_IPV4_LENGTH : LB_IPV6_LENGTH);
	struct lb_cid_config entry;
	struct lb_cid_key key;

	plan_cid(format, &entry, &key);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t octets[HARNESS_OCTETS];

		write_frame(octets, i, kind, version);
		if (has_cid(kind))
			write_cid(octets + at, config, format, &key, i);
		if (kind == FRAME_ANSWER)
			turn_around(octets + LB_ETH_LENGTH,
				    plan_server(config, frames_server(i), &(uint32_t){ 0 }));
		write_checksum(octets + LB_ETH_LENGTH, version);
		memcpy(&frames[i], octets, sizeof(octets));
	}
}
