/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Virtual reassembly: holds the fragments of a datagram until the octets that decide its way are there, and
 * remembers the way for those that follow. Never puts a datagram together. Pure: no clock, no kernel.
 */
#ifndef SHUNT_FRAGMENTS_H
#define SHUNT_FRAGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bounds. The time is shorter than that of hosts (RFC 8200 section 4.5: 60 s), for the fragments of a datagram
 * come one after the other or not at all.
 */
#define FRAGMENTS_DATAGRAMS 1024
#define FRAGMENTS_OCTETS    (4u << 20) /* of all frames that are held */
#define FRAGMENTS_PIECES    64 /* of a datagram */
#define FRAGMENTS_MS	    5000
/* Of a UDP datagram: its header, and QUIC's as far as both connection IDs go. */
#define FRAGMENTS_NEEDED 72
/* What a head may have: link and IP headers, and as much of the datagram as was there. */
#define FRAGMENTS_HEAD 1024

struct fragments;

/* What becomes of a frame. */
enum fragments_verdict {
	FRAGMENTS_WHOLE, /* no fragment of UDP, or cannot be read: nothing is known of it here */
	FRAGMENTS_HELD, /* kept; the frame comes back by fragments_release() or _drop() */
	FRAGMENTS_READY, /* kept; the datagram can be decided now: see head */
	FRAGMENTS_KNOWN, /* goes where the datagram went: see way */
	FRAGMENTS_REFUSED, /* dropped, with all that was held of its datagram */
};

/* Where a datagram goes. What it means is the caller's matter. */
struct fragments_way {
	uint32_t reason, server, vip, pool, config_id;
	uint32_t ports; /* both, as they lie in the packet */
};

struct fragments_frame {
	const uint8_t *frame;
	size_t length;
};

struct fragments_result {
	enum fragments_verdict verdict;
	/* FRAGMENTS_READY: a frame of the whole datagram, of which `readable` octets are there. */
	const uint8_t *head;
	size_t readable, length;
	struct fragments_way way; /* FRAGMENTS_KNOWN */
};

/* Takes a frame that is given up, or let go: of the datagram, at a time. */
typedef void fragments_take(const struct fragments_frame *frame, void *context);

struct fragments *fragments_new(void); /* NULL: no memory */
void fragments_free(struct fragments *fragments);

/*
 * now: ms, never less than before. Whatever is given up for this frame, its own datagram's or the oldest one's
 * frames, goes to drop(); the frame itself is not among them.
 */
void fragments_add(struct fragments *fragments, const uint8_t *frame, size_t length, int64_t now,
		   struct fragments_result *result, fragments_take *drop, void *context);
/* After FRAGMENTS_READY, before anything else: the way; take() gets what was held, in order of arrival. */
void fragments_release(struct fragments *fragments, const struct fragments_way *way,
		       fragments_take *take, void *context);
/* What has waited too long goes to drop(). ms until the next call is due, -1: nothing waits. */
int64_t fragments_expire(struct fragments *fragments, int64_t now, fragments_take *drop,
			 void *context);
uint32_t fragments_count(const struct fragments *fragments); /* datagrams */
size_t fragments_octets(const struct fragments *fragments);

#endif
