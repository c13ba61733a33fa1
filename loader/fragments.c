/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A table of datagrams, each with the stretches that were seen of it and the frames that wait. See
 * fragments.h.
 */
#include "fragments.h"

#include <stdlib.h>
#include <string.h>

#include "piece.h"

#include "user_profile.h"

#include "lb/parse.h"
#include "lb/rewrite.h"

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

/* Its identification may come again for another one. */
static bool is_complete(const struct datagram *datagram)
{
	return datagram->total && contiguous(datagram) == datagram->total;
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

	piece_read(first->frame, first->length, &piece);
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
	if (!piece_read(frame, length, &piece))
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
		if (is_complete(datagram))
			forget(fragments, datagram, drop, context);
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
	if (is_complete(datagram))
		forget(fragments, datagram, NULL, NULL);
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
