/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A table of datagrams, each with the stretches that were seen of it and the frames that wait. See
 * fragments.h.
 */
#include "fragments.h"

#include <stdlib.h>
#include <string.h>

#define LB_MAY_PERCPU	  0
#define LB_MAY_REDIRECT	  1
#define LB_MAY_AES	  1
#define LB_MAY_GUE	  1
#define LB_MAY_TRACK	  0
#define LB_MAX_IP_HEADERS 65535
#include "lb/parse.h"
#include "lb/rewrite.h"

#define IPV4_MORE	0x2000
#define IPV4_OFFSET	0x1fff
#define IPV6_MORE	1
#define FRAGMENT_HEADER 8

/* What of a frame's headers counts here. */
struct piece {
	uint32_t key[11]; /* addresses, identification, protocol and version */
	uint32_t link, header; /* octets; header: of IP, up to the fragment's octets */
	uint32_t fragment_at; /* IPv6: of the fragment header in the packet */
	uint32_t next_at; /* IPv6: where the protocol behind the headers in front is named */
	uint32_t protocol; /* of what is fragmented */
	uint32_t from, to; /* octets of what is fragmented */
	bool last;
};

struct stretch {
	uint32_t from, to;
};

struct held {
	struct held *next;
	size_t length;
	uint32_t from, to, start; /* start: of its octets in the frame */
	uint8_t frame[];
};

enum state { FREE, WAITING, DECIDED, REFUSED };

struct datagram {
	enum state state;
	uint32_t key[11];
	int64_t since;
	uint32_t total; /* 0: the last fragment has not come */
	uint32_t n;
	struct stretch stretches[FRAGMENTS_PIECES];
	struct held *first, **last;
	struct fragments_way way;
};

struct fragments {
	uint32_t n;
	size_t octets;
	struct datagram *ready; /* waits for fragments_release() */
	uint8_t head[FRAGMENTS_HEAD];
	struct datagram datagrams[FRAGMENTS_DATAGRAMS];
};

struct fragments *fragments_new(void)
{
	return calloc(1, sizeof(struct fragments));
}

static void let_go(struct fragments *fragments, struct datagram *datagram, fragments_take *take,
		   void *context)
{
	while (datagram->first) {
		struct held *held = datagram->first;
		const struct fragments_frame frame = { held->frame, held->length };

		datagram->first = held->next;
		fragments->octets -= held->length;
		if (take)
			take(&frame, context);
		free(held);
	}
	datagram->last = &datagram->first;
}

static void forget(struct fragments *fragments, struct datagram *datagram, fragments_take *drop,
		   void *context)
{
	let_go(fragments, datagram, drop, context);
	datagram->state = FREE;
	fragments->n--;
}

void fragments_free(struct fragments *fragments)
{
	for (uint32_t i = 0; fragments && i < FRAGMENTS_DATAGRAMS; i++)
		let_go(fragments, &fragments->datagrams[i], NULL, NULL);
	free(fragments);
}

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

static bool read_piece(const uint8_t *frame, size_t length, struct piece *piece)
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

bool fragments_place(const uint8_t *frame, size_t length, struct fragments_place *place)
{
	struct piece piece;
	const uint8_t *ip;
	uint32_t udp;

	if (!read_piece(frame, length, &piece))
		return false;
	ip = frame + piece.link;
	*place = (struct fragments_place){
		.link_length = piece.link,
		.ip_version = piece.key[10],
		.ip_length = piece.header + piece.to - piece.from,
		.ttl = piece.key[10] == 4 ? ip[8] : ip[7],
	};
	udp = piece.from ? 0 : find_udp(ip, piece.header, place->ip_length, piece.protocol);
	place->udp_at = udp ? piece.link + udp : 0;
	return true;
}

static struct datagram *find(struct fragments *fragments, const struct piece *piece)
{
	for (uint32_t i = 0; i < FRAGMENTS_DATAGRAMS; i++) {
		struct datagram *datagram = &fragments->datagrams[i];

		if (datagram->state != FREE &&
		    !memcmp(datagram->key, piece->key, sizeof(piece->key)))
			return datagram;
	}
	return NULL;
}

static struct datagram *oldest(struct fragments *fragments, bool with_frames)
{
	struct datagram *found = NULL;

	for (uint32_t i = 0; i < FRAGMENTS_DATAGRAMS; i++) {
		struct datagram *datagram = &fragments->datagrams[i];

		if (datagram->state != FREE && (datagram->first || !with_frames) &&
		    (!found || datagram->since < found->since))
			found = datagram;
	}
	return found;
}

static struct datagram *begin(struct fragments *fragments, const struct piece *piece, int64_t now,
			      fragments_take *drop, void *context)
{
	struct datagram *datagram = fragments->datagrams;

	/* Under a flood of beginnings the newest are the ones that are still being sent. */
	if (fragments->n == FRAGMENTS_DATAGRAMS)
		forget(fragments, oldest(fragments, false), drop, context);
	while (datagram->state != FREE)
		datagram++;
	memset(datagram, 0, sizeof(*datagram));
	datagram->state = WAITING;
	datagram->since = now;
	datagram->last = &datagram->first;
	memcpy(datagram->key, piece->key, sizeof(piece->key));
	fragments->n++;
	return datagram;
}

/* What no sender of ours would make. */
static bool is_sound(const struct piece *piece)
{
	uint32_t octets = piece->to - piece->from;

	return octets && (piece->last || octets % 8 == 0) &&
	       piece->to + piece->header <= UINT16_MAX;
}

enum place { NEW, AGAIN, WRONG };

/*
 * An overlap ends the datagram (RFC 5722), but the same fragment once more is what networks do. So does an end
 * that is none.
 */
static enum place place_of(const struct datagram *datagram, const struct piece *piece)
{
	for (uint32_t i = 0; i < datagram->n; i++) {
		const struct stretch *known = &datagram->stretches[i];

		if (known->from == piece->from && known->to == piece->to &&
		    piece->last == (datagram->total == known->to))
			return AGAIN;
		if (piece->from < known->to && known->from < piece->to)
			return WRONG;
		if (piece->last && known->to > piece->to)
			return WRONG;
	}
	if (datagram->total && (piece->last || piece->to > datagram->total))
		return WRONG;
	return datagram->n < FRAGMENTS_PIECES ? NEW : WRONG;
}

static void refuse(struct fragments *fragments, struct datagram *datagram, fragments_take *drop,
		   void *context)
{
	let_go(fragments, datagram, drop, context);
	datagram->state = REFUSED;
}

/* Octets from the beginning on without a hole. */
static uint32_t contiguous(const struct datagram *datagram)
{
	uint32_t to = 0;
	bool more = true;

	while (more) {
		more = false;
		for (uint32_t i = 0; i < datagram->n; i++)
			if (datagram->stretches[i].from <= to && datagram->stretches[i].to > to) {
				to = datagram->stretches[i].to;
				more = true;
			}
	}
	return to;
}

static bool hold(struct fragments *fragments, struct datagram *datagram, const struct piece *piece,
		 const uint8_t *frame, size_t length, fragments_take *drop, void *context)
{
	struct held *held = malloc(sizeof(*held) + length);

	if (!held)
		return false;
	while (fragments->octets + length > FRAGMENTS_OCTETS) {
		struct datagram *other = oldest(fragments, true);

		if (other == datagram) {
			free(held);
			return false;
		}
		forget(fragments, other, drop, context);
	}
	*held = (struct held){ .length = length,
			       .from = piece->from,
			       .to = piece->to,
			       .start = piece->link + piece->header };
	memcpy(held->frame, frame, length);
	*datagram->last = held;
	datagram->last = &held->next;
	fragments->octets += length;
	return true;
}

/* The headers of a fragment as they would stand in front of the whole, and how long they are. */
static uint32_t head_headers(const struct held *from, const struct piece *piece, uint8_t *head)
{
	uint8_t *ip = head + piece->link;

	memcpy(head, from->frame, piece->link + piece->header);
	if (piece->key[10] == 4) {
		lb_store16(ip + 6, 0);
		return piece->header;
	}
	/* Without the fragment header, which stands last. */
	ip[piece->next_at] = (uint8_t)piece->protocol;
	return piece->fragment_at;
}

static void head_octets(const struct datagram *datagram, uint8_t *to, uint32_t n)
{
	for (const struct held *held = datagram->first; held; held = held->next)
		if (held->from < n)
			memcpy(to + held->from, held->frame + held->start,
			       (held->to < n ? held->to : n) - held->from);
}

/* Of the whole datagram: what IP says once the last fragment is there, else what UDP says. */
static uint32_t length_of(const struct datagram *datagram, const struct piece *piece,
			  const uint8_t *octets)
{
	if (datagram->total || piece->protocol != LB_PROTO_UDP)
		return datagram->total;
	return lb_read16(octets + 4);
}

/* Builds the head if there is enough for a decision. first: the fragment that the datagram begins with. */
static bool make_head(struct fragments *fragments, const struct datagram *datagram,
		      const struct held *first, struct fragments_result *result)
{
	uint32_t known = contiguous(datagram), headers, total, room, least = FRAGMENTS_NEEDED;
	struct piece piece;
	uint8_t *ip;

	read_piece(first->frame, first->length, &piece);
	if (piece.link + piece.header + FRAGMENTS_NEEDED > FRAGMENTS_HEAD)
		return false;
	room = FRAGMENTS_HEAD - piece.link - piece.header;
	/* What stands in front of UDP can be anything: all of it, or what there is room for. */
	if (piece.protocol != LB_PROTO_UDP)
		least = room;
	if (known < least && !(datagram->total && known == datagram->total))
		return false;
	headers = head_headers(first, &piece, fragments->head);
	if (known > room)
		known = room;
	head_octets(datagram, fragments->head + piece.link + headers, known);
	total = length_of(datagram, &piece, fragments->head + piece.link + headers);
	if (!total)
		return false;
	ip = fragments->head + piece.link;
	if (piece.key[10] == 4)
		lb_store16(ip + 2, LB_BE16(headers + total));
	else
		lb_store16(ip + 4, LB_BE16(headers + total - LB_IPV6_LENGTH));
	result->head = fragments->head;
	result->readable = piece.link + headers + (known < total ? known : total);
	result->length = piece.link + headers + total;
	return true;
}

static const struct held *beginning(const struct datagram *datagram)
{
	const struct held *held = datagram->first;

	while (held && held->from)
		held = held->next;
	return held;
}

static void note(struct datagram *datagram, const struct piece *piece)
{
	datagram->stretches[datagram->n++] = (struct stretch){ piece->from, piece->to };
	if (piece->last)
		datagram->total = piece->to;
}

void fragments_add(struct fragments *fragments, const uint8_t *frame, size_t length, int64_t now,
		   struct fragments_result *result, fragments_take *drop, void *context)
{
	struct datagram *datagram;
	struct piece piece;
	enum place place;

	*result = (struct fragments_result){ .verdict = FRAGMENTS_WHOLE };
	if (!read_piece(frame, length, &piece))
		return;
	result->verdict = FRAGMENTS_REFUSED;
	if (!is_sound(&piece))
		return;
	datagram = find(fragments, &piece);
	if (!datagram)
		datagram = begin(fragments, &piece, now, drop, context);
	place = place_of(datagram, &piece);
	if (datagram->state == REFUSED || place == AGAIN)
		return;
	if (place == WRONG) {
		refuse(fragments, datagram, drop, context);
		return;
	}
	note(datagram, &piece);
	if (datagram->state == DECIDED) {
		result->verdict = FRAGMENTS_KNOWN;
		result->way = datagram->way;
		return;
	}
	if (!hold(fragments, datagram, &piece, frame, length, drop, context)) {
		refuse(fragments, datagram, drop, context);
		return;
	}
	result->verdict = FRAGMENTS_HELD;
	if (beginning(datagram) && make_head(fragments, datagram, beginning(datagram), result)) {
		result->verdict = FRAGMENTS_READY;
		fragments->ready = datagram;
	}
}

void fragments_release(struct fragments *fragments, const struct fragments_way *way,
		       fragments_take *take, void *context)
{
	struct datagram *datagram = fragments->ready;

	fragments->ready = NULL;
	datagram->state = DECIDED;
	datagram->way = *way;
	let_go(fragments, datagram, take, context);
}

int64_t fragments_expire(struct fragments *fragments, int64_t now, fragments_take *drop,
			 void *context)
{
	int64_t next = -1;

	for (uint32_t i = 0; i < FRAGMENTS_DATAGRAMS; i++) {
		struct datagram *datagram = &fragments->datagrams[i];
		int64_t left = datagram->since + FRAGMENTS_MS - now;

		if (datagram->state == FREE)
			continue;
		if (left <= 0)
			forget(fragments, datagram, drop, context);
		else if (next < 0 || left < next)
			next = left;
	}
	return next;
}

uint32_t fragments_count(const struct fragments *fragments)
{
	return fragments->n;
}

size_t fragments_octets(const struct fragments *fragments)
{
	return fragments->octets;
}
