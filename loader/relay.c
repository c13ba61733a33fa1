/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts fragments.h, decide.h, segments.h and forward.h one after the other. See relay.h.
 */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fragments.h"
#include "piece.h"
#include "segments.h"

#include "user_profile.h"

#include "lb/too_big.h"

#define FRAME_MAX 65600 /* an IP packet, its link header and a VLAN tag */

struct relay {
	struct relay_sink sink;
	struct fragments *fragments;
	const struct decide_tables *tables; /* while a frame is under way */
	struct fragments_way way; /* while held fragments are */
	uint32_t answers, answered;
	int64_t second; /* of the answers */
	int64_t now;
	uint8_t tagged[FRAME_MAX]; /* the frame with its VLAN tag */
	/* A datagram, then a fragment of it, each with room in front. */
	uint8_t whole[FORWARD_HEADROOM + FRAME_MAX], part[FORWARD_HEADROOM + FRAME_MAX];
};

struct relay *relay_new(const struct relay_sink *sink)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->sink = *sink;
	relay->fragments = fragments_new();
	if (!relay->fragments) {
		free(relay);
		return NULL;
	}
	return relay;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	fragments_free(relay->fragments);
	free(relay);
}

static void count(const struct relay *relay, const struct decision *decision, enum lb_reason reason,
		  bool forwarded, size_t octets)
{
	const struct relay_count counted = {
		.reason = reason,
		.vip = decision->vip,
		.server = forwarded ? decision->server : 0,
		.pool = decision->pool,
		.config_id = decision->config_id,
		.octets = octets,
	};

	relay->sink.count(relay->sink.context, &counted);
}

static void drop_fragment(const struct fragments_frame *frame, void *context)
{
	const struct relay *relay = context;
	const struct relay_count counted = { .reason = LB_REASON_fragments_incomplete,
					     .octets = frame->length };

	relay->sink.count(relay->sink.context, &counted);
}

static bool may_answer(struct relay *relay)
{
	if (relay->now - relay->second >= 1000) {
		relay->second = relay->now;
		relay->answered = 0;
	}
	return relay->answered < relay->answers && ++relay->answered;
}

/* As lb/answer.h does it: the frame turned around, with what it said quoted. */
static bool answer(struct relay *relay, const struct decision *decision, const uint8_t *frame,
		   size_t length, uint32_t mtu)
{
	uint32_t version = LB_SHAPE_VERSION(decision->shape), link = decision->link_length;
	uint32_t front = LB_TOO_BIG_HEADERS(version);
	uint8_t *out = relay->part;
	struct forwarded sent = { .frame = out,
				  .length = link + front + LB_QUOTE,
				  .link_length = link };

	if (length < link + LB_QUOTE || frame[0] & 1 || !lb_may_tell(frame + link, version, mtu) ||
	    !may_answer(relay))
		return false;
	memcpy(out, frame + 6, 6);
	memcpy(out + 6, frame, 6);
	memcpy(out + 12, frame + 12, link - 12);
	memcpy(out + link + front, frame + link, LB_QUOTE);
	if (version == 4)
		lb_tell_ipv4(out + link, mtu);
	else
		lb_tell_ipv6(out + link, mtu);
	return !relay->sink.send(relay->sink.context, &sent);
}

static enum lb_reason why_not_sent(int error)
{
	switch (error) {
	case -EMSGSIZE:
		return LB_REASON_too_big;
	case -EAGAIN:
	case -ENOBUFS:
	case -ENOMEM:
		return LB_REASON_overloaded;
	default:
		return LB_REASON_no_next_hop;
	}
}

/* A frame that fits. frame: with room in front, written over. */
static enum lb_reason send_one(struct relay *relay, const struct decision *decision, uint8_t *frame,
			       size_t length)
{
	enum lb_reason reason = decision->reason;
	struct forwarded out;
	int error;

	if (!forward_frame(relay->tables, decision, frame, length, &out, &reason))
		return reason;
	error = relay->sink.send(relay->sink.context, &out);
	return error ? why_not_sent(error) : (enum lb_reason)decision->reason;
}

/*
 * A fragment on the way of its datagram. udp: of LB_UDP_LENGTH octets, for those without a UDP header: one with the
 * ports of their datagram, for the numbers that are made of them; its checksum of zero says that no other follows.
 */
static bool place_fragment(const struct fragments_way *way, const uint8_t *frame, size_t length,
			   uint8_t *udp, struct decision *decision)
{
	struct piece_place place;

	if (!piece_place(frame, length, &place))
		return false;
	memset(udp, 0, LB_UDP_LENGTH);
	memcpy(udp, &way->ports, sizeof(way->ports));
	*decision = (struct decision){
		.reason = way->reason,
		.server = way->server,
		.vip = way->vip,
		.pool = way->pool,
		.config_id = way->config_id,
		.link_length = place.link_length,
		.ip_length = place.ip_length,
		.ip = frame + place.link_length,
		.udp = place.udp_at ? frame + place.udp_at : udp,
		.shape = LB_SHAPE(place.link_length - 2, place.ip_version, place.ttl),
	};
	return true;
}

/* IPv4 that may be fragmented: before it goes into a tunnel, so that whoever ends it gets whole packets (RFC 2003). */
static enum lb_reason send_cut(struct relay *relay, const struct decision *decision,
			       const uint8_t *frame, size_t length, uint32_t mtu)
{
	struct fragments_way way = {
		.reason = decision->reason,
		.server = decision->server,
		.vip = decision->vip,
		.pool = decision->pool,
		.config_id = decision->config_id,
	};
	enum lb_reason reason = LB_REASON_too_big;
	uint8_t *part = relay->part + FORWARD_HEADROOM, udp[LB_UDP_LENGTH];
	struct decision piece;
	size_t from = 0, n;

	memcpy(&way.ports, decision->udp, sizeof(way.ports));
	while ((n = segments_cut(frame, length, decision->link_length, mtu, &from, part))) {
		reason = place_fragment(&way, part, n, udp, &piece) ?
				 send_one(relay, &piece, part, n) :
				 LB_REASON_malformed;
		if (reason != decision->reason)
			break;
	}
	return reason;
}

/* 0: it fits; else the octets that a packet may have before anything is put in front. */
static uint32_t too_long_for(const struct relay *relay, const struct decision *decision)
{
	const struct lb_server *server;
	uint32_t added;

	if (decision->server >= relay->tables->n_servers)
		return 0;
	server = &relay->tables->servers[decision->server];
	added = server->outer_length & LB_OUTER_MASK;
	if (server->mode == LB_MODE_UNSET || LB_SHAPE_TTL(decision->shape) <= 1 ||
	    decision->ip_length + added <= server->mtu)
		return 0;
	return server->mtu > added ? server->mtu - added : 1;
}

static void route(struct relay *relay, const struct decision *decision, uint8_t *frame,
		  size_t length)
{
	uint32_t mtu = decision->server ? too_long_for(relay, decision) : 0;
	bool may_cut = mtu && !decision->message && LB_SHAPE_VERSION(decision->shape) == 4 &&
		       !(lb_load16(decision->ip + 6) & LB_CONST16(LB_IPV4_DF));
	enum lb_reason reason = decision->reason;

	if (may_cut)
		reason = send_cut(relay, decision, frame, length, mtu);
	else if (mtu)
		/* An error is not answered by another one. */
		reason = !decision->message && answer(relay, decision, frame, length, mtu) ?
				 LB_REASON_too_big_answered :
				 LB_REASON_too_big;
	else if (decision->server)
		reason = send_one(relay, decision, frame, length);
	count(relay, decision, reason, decision->server && reason == decision->reason, length);
}

/* One that was held, or that comes later. */
static void route_fragment(struct relay *relay, const struct fragments_way *way,
			   const uint8_t *frame, size_t length)
{
	uint8_t *copy = relay->whole + FORWARD_HEADROOM, udp[LB_UDP_LENGTH];
	struct decision decision;

	memcpy(copy, frame, length);
	if (place_fragment(way, copy, length, udp, &decision))
		route(relay, &decision, copy, length);
}

static void take_fragment(const struct fragments_frame *frame, void *context)
{
	struct relay *relay = context;

	route_fragment(relay, &relay->way, frame->frame, frame->length);
}

/* Enough of the datagram is there. */
static void decide_fragments(struct relay *relay, const struct fragments_result *found)
{
	struct decision decision;

	decide_part(relay->tables, found->head, found->readable, found->length, &decision);
	relay->way = (struct fragments_way){
		.reason = decision.reason,
		.server = decision.server,
		.vip = decision.vip,
		.pool = decision.pool,
		.config_id = decision.config_id,
	};
	if (decision.udp)
		memcpy(&relay->way.ports, decision.udp, sizeof(relay->way.ports));
	fragments_release(relay->fragments, &relay->way, take_fragment, relay);
}

/* A frame with a datagram, or a fragment. frame: with room in front, written over. */
static void take(struct relay *relay, uint8_t *frame, size_t length)
{
	const struct fragments_frame refused = { frame, length };
	struct fragments_result found;
	struct decision decision;

	fragments_add(relay->fragments, frame, length, relay->now, &found, drop_fragment, relay);
	switch (found.verdict) {
	case FRAGMENTS_WHOLE:
		decide_frame(relay->tables, frame, length, &decision);
		route(relay, &decision, frame, length);
		break;
	case FRAGMENTS_READY:
		decide_fragments(relay, &found);
		break;
	case FRAGMENTS_KNOWN:
		memcpy(relay->part, frame, length);
		route_fragment(relay, &found.way, relay->part, length);
		break;
	case FRAGMENTS_REFUSED:
		drop_fragment(&refused, relay);
		break;
	case FRAGMENTS_HELD:
		break;
	}
}

/* The tag that the kernel took off, where it was. */
static const uint8_t *put_tag(struct relay *relay, const uint8_t *frame, size_t *length,
			      uint32_t vlan)
{
	uint32_t tag = LB_BE32(vlan);

	if (!vlan || *length < LB_ETH_LENGTH)
		return frame;
	memcpy(relay->tagged, frame, 12);
	memcpy(relay->tagged + 12, &tag, sizeof(tag));
	memcpy(relay->tagged + 16, frame + 12, *length - 12);
	*length += sizeof(tag);
	return relay->tagged;
}

void relay_frame(struct relay *relay, const struct decide_tables *tables, uint32_t answers,
		 const uint8_t *frame, size_t length, uint32_t gso_size, uint32_t vlan, int64_t now)
{
	struct segments segments;
	size_t n;

	relay->tables = tables;
	relay->answers = answers;
	relay->now = now;
	if (length > FRAME_MAX - sizeof(vlan))
		length = FRAME_MAX - sizeof(vlan);
	frame = put_tag(relay, frame, &length, vlan);
	segments_begin(&segments, frame, length, gso_size);
	while ((n = segments_next(&segments, relay->whole + FORWARD_HEADROOM)))
		take(relay, relay->whole + FORWARD_HEADROOM, n);
}

int64_t relay_expire(struct relay *relay, int64_t now)
{
	return fragments_expire(relay->fragments, now, drop_fragment, relay);
}
