/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Segmentation, UDP checksums, IPv4 fragmentation. See segments.h.
 */
#include "segments.h"

#include <string.h>

#include "user_profile.h"

#include "lb/parse.h"
#include "lb/rewrite.h"

#define IPV4_MORE   0x2000
#define IPV4_OFFSET 0x1fff

/* RFC 1071. An odd octet at the end counts as the first of two. */
static uint32_t add(uint32_t sum, const uint8_t *at, size_t n)
{
	uint64_t wide = sum;

	for (; n > 1; at += 2, n -= 2)
		wide += lb_load16(at);
	if (n)
		wide += LB_BE16(*at << 8);
	while (wide >> 16)
		wide = (wide & 0xffff) + (wide >> 16);
	return (uint32_t)wide;
}

static uint32_t pseudo_header(const uint8_t *ip, uint32_t udp_length)
{
	uint32_t sum = ip[0] >> 4 == 4 ? add(0, ip + 12, 8) : add(0, ip + 8, 32);

	return lb_csum_fold(sum + LB_BE16(udp_length) + LB_BE16(LB_PROTO_UDP));
}

/* A new one, over all octets. */
static void write_checksum(const uint8_t *ip, uint8_t *udp)
{
	uint32_t length = lb_read16(udp + 4), check;

	lb_store16(udp + 6, 0);
	check = (uint16_t)~add(pseudo_header(ip, length), udp, length);
	lb_store16(udp + 6, check ? check : 0xffff);
}

/*
 * A sender of this host leaves the sum of the pseudo-header for its device to go on with. A right checksum may
 * happen to be the same number: then it stays.
 */
static void complete_checksum(const uint8_t *ip, uint8_t *udp)
{
	uint32_t length = lb_read16(udp + 4), pseudo = pseudo_header(ip, length);

	if (lb_load16(udp + 6) == pseudo && add(pseudo, udp, length) != 0xffff)
		write_checksum(ip, udp);
}

static void write_ipv4_checksum(uint8_t *ip)
{
	lb_store16(ip + 10, 0);
	lb_store16(ip + 10, ~add(0, ip, (ip[0] & 0x0f) << 2));
}

void segments_begin(struct segments *segments, const uint8_t *frame, size_t length,
		    uint32_t gso_size)
{
	struct lb_pkt pkt = {};

	*segments = (struct segments){ .frame = frame, .length = length };
	if (lb_parse(&pkt, frame, frame + length, (uint32_t)length) != LB_NEXT)
		return;
	segments->ip = (uint32_t)((const uint8_t *)pkt.ip - frame);
	segments->udp = (uint32_t)((const uint8_t *)pkt.udp - frame);
	segments->at = segments->udp + LB_UDP_LENGTH;
	if (gso_size && pkt.payload_length > gso_size) {
		segments->size = gso_size;
		segments->length = segments->at + pkt.payload_length;
	}
}

static size_t whole(struct segments *segments, uint8_t *out)
{
	segments->done = true;
	memcpy(out, segments->frame, segments->length);
	if (segments->udp)
		complete_checksum(out + segments->ip, out + segments->udp);
	return segments->length;
}

size_t segments_next(struct segments *segments, uint8_t *out)
{
	uint32_t headers = segments->udp + LB_UDP_LENGTH, payload;
	uint8_t *ip = out + segments->ip, *udp = out + segments->udp;

	if (segments->done)
		return 0;
	if (!segments->size)
		return whole(segments, out);
	payload = segments->length - segments->at < segments->size ?
			  (uint32_t)(segments->length - segments->at) :
			  segments->size;
	memcpy(out, segments->frame, headers);
	memcpy(out + headers, segments->frame + segments->at, payload);
	lb_store16(udp + 4, LB_BE16(LB_UDP_LENGTH + payload));
	if (ip[0] >> 4 == 4) {
		lb_store16(ip + 2, LB_BE16(headers - segments->ip + payload));
		lb_store16(ip + 4, LB_BE16(lb_read16(ip + 4) + segments->n));
		write_ipv4_checksum(ip);
	} else {
		lb_store16(ip + 4, LB_BE16(headers - segments->ip - LB_IPV6_LENGTH + payload));
	}
	if (lb_load16(udp + 6))
		write_checksum(ip, udp);
	segments->at += payload;
	segments->n++;
	segments->done = segments->at == segments->length;
	return headers + payload;
}

/* RFC 791 section 3.1: these stand in the first fragment alone. */
static void drop_options(uint8_t *ip, uint32_t header)
{
	for (uint32_t at = LB_IPV4_LENGTH; at < header && ip[at];) {
		uint32_t octets = ip[at] == 1 || at + 1 == header ? 1 : ip[at + 1];

		if (!octets || at + octets > header)
			return;
		if (!(ip[at] & 0x80))
			memset(ip + at, 1, octets);
		at += octets;
	}
}

size_t segments_cut(const uint8_t *frame, size_t length, uint32_t link_length, uint32_t mtu,
		    size_t *from, uint8_t *out)
{
	const uint8_t *before = frame + link_length;
	uint32_t header = (before[0] & 0x0f) << 2, field = lb_read16(before + 6);
	uint32_t octets = lb_read16(before + 2) - header, most, take;
	uint8_t *ip = out + link_length;
	bool last;

	if (mtu < header + 8 || *from >= octets || link_length + header + octets > length)
		return 0;
	most = (mtu - header) & ~7u;
	last = octets - *from <= mtu - header;
	take = last ? (uint32_t)(octets - *from) : most;
	memcpy(out, frame, link_length + header);
	memcpy(ip + header, before + header + *from, take);
	lb_store16(ip + 2, LB_BE16(header + take));
	field = (field & ~(uint32_t)IPV4_OFFSET) |
		(((field & IPV4_OFFSET) + (uint32_t)(*from >> 3)) & IPV4_OFFSET);
	lb_store16(ip + 6, LB_BE16(last ? field : field | IPV4_MORE));
	if (*from)
		drop_options(ip, header);
	write_ipv4_checksum(ip);
	*from += take;
	return link_length + header + take;
}
