/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IPv4's header, and IPv6's up to the fragment header. See piece.h.
 */
#include "piece.h"

#include <string.h>

#include "user_profile.h"

#include "lb/parse.h"

#define IPV4_MORE	0x2000
#define IPV4_OFFSET	0x1fff
#define IPV6_MORE	1
#define FRAGMENT_HEADER 8

static bool read_ipv4(const uint8_t *ip, size_t room, struct piece *piece)
{
	uint32_t field, length;

	if (room < LB_IPV4_LENGTH || ip[0] >> 4 != 4)
		return false;
	piece->header = (ip[0] & 0x0f) << 2;
	length = lb_read16(ip + 2);
	field = lb_read16(ip + 6);
	if (!(field & LB_IPV4_FRAGMENT) || piece->header < LB_IPV4_LENGTH ||
	    length < piece->header || length > room || ip[9] != LB_PROTO_UDP)
		return false;
	piece->protocol = ip[9];
	piece->key[0] = lb_load32(ip + 12);
	piece->key[1] = lb_load32(ip + 16);
	piece->key[8] = lb_load16(ip + 4);
	piece->key[9] = ip[9];
	piece->key[10] = 4;
	piece->from = (field & IPV4_OFFSET) << 3;
	piece->to = piece->from + length - piece->header;
	piece->last = !(field & IPV4_MORE);
	return true;
}

/* Past the headers in front to the fragment header. */
static bool find_fragment_header(const uint8_t *ip, uint32_t length, struct piece *piece)
{
	uint32_t at = LB_IPV6_LENGTH, next = ip[6], next_at = 6;

	while (next != LB_PROTO_FRAGMENT) {
		if (!lb_is_extension(next) || at + 8 > length)
			return false;
		if (next == LB_PROTO_ROUTING && ip[at + 3])
			return false;
		next_at = at;
		at += next == LB_PROTO_AH ? (ip[at + 1] + 2u) << 2 : (ip[at + 1] + 1u) << 3;
		next = ip[next_at];
	}
	piece->fragment_at = at;
	piece->next_at = next_at;
	return at + FRAGMENT_HEADER <= length;
}

static bool read_ipv6(const uint8_t *ip, size_t room, struct piece *piece)
{
	uint32_t field, length;

	if (room < LB_IPV6_LENGTH || ip[0] >> 4 != 6)
		return false;
	length = lb_read16(ip + 4) + LB_IPV6_LENGTH;
	if (length > room || !find_fragment_header(ip, length, piece))
		return false;
	piece->header = piece->fragment_at + FRAGMENT_HEADER;
	memcpy(piece->key, ip + 8, 32);
	piece->key[8] = lb_load32(ip + piece->fragment_at + 4);
	piece->key[10] = 6;
	piece->protocol = ip[piece->fragment_at];
	field = lb_read16(ip + piece->fragment_at + 2);
	piece->from = field & ~7u;
	piece->to = piece->from + length - piece->header;
	piece->last = !(field & IPV6_MORE);
	return piece->protocol == LB_PROTO_UDP || lb_is_extension(piece->protocol);
}

bool piece_read(const uint8_t *frame, size_t length, struct piece *piece)
{
	uint32_t type;

	memset(piece, 0, sizeof(*piece));
	if (length < LB_ETH_LENGTH + 8)
		return false;
	piece->link = LB_ETH_LENGTH + (lb_count_tags(frame, &type) << 2);
	if (length < piece->link)
		return false;
	if (type == LB_CONST16(LB_ETHERTYPE_IPV4))
		return read_ipv4(frame + piece->link, length - piece->link, piece);
	return type == LB_CONST16(LB_ETHERTYPE_IPV6) &&
	       read_ipv6(frame + piece->link, length - piece->link, piece);
}

/* Past the extension headers that are fragmented along with it. */
static uint32_t find_udp(const uint8_t *ip, uint32_t at, uint32_t length, uint32_t protocol)
{
	while (lb_is_extension(protocol) && at + 8 <= length) {
		uint32_t octets = protocol == LB_PROTO_AH ? (ip[at + 1] + 2u) << 2 :
							    (ip[at + 1] + 1u) << 3;

		protocol = ip[at];
		at += octets;
	}
	return protocol == LB_PROTO_UDP && at + LB_UDP_LENGTH <= length ? at : 0;
}

bool piece_place(const uint8_t *frame, size_t length, struct piece_place *place)
{
	struct piece piece;
	const uint8_t *ip;
	uint32_t udp;

	if (!piece_read(frame, length, &piece))
		return false;
	ip = frame + piece.link;
	*place = (struct piece_place){
		.link_length = piece.link,
		.ip_version = piece.key[10],
		.ip_length = piece.header + piece.to - piece.from,
		.ttl = piece.key[10] == 4 ? ip[8] : ip[7],
	};
	udp = piece.from ? 0 : find_udp(ip, piece.header, place->ip_length, piece.protocol);
	place->udp_at = udp ? piece.link + udp : 0;
	return true;
}
