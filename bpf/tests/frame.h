/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Builds frames octet by octet for the header tests, and parses them from a block of memory that ends
 * with the frame, so that a read past its end is one past the block's: AddressSanitizer sees it.
 */
#ifndef LB_TESTS_FRAME_H
#define LB_TESTS_FRAME_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "lb/parse.h"

#define FRAME_MAX 2048

struct frame {
	__u32 length;
	__u8 octets[FRAME_MAX];
};

static inline void frame_octets(struct frame *frame, const void *octets, __u32 n)
{
	memcpy(frame->octets + frame->length, octets, n);
	frame->length += n;
}

static inline void frame_fill(struct frame *frame, __u8 octet, __u32 n)
{
	memset(frame->octets + frame->length, octet, n);
	frame->length += n;
}

static inline void frame_8(struct frame *frame, __u8 value)
{
	frame->octets[frame->length++] = value;
}

static inline void frame_16(struct frame *frame, __u16 value)
{
	frame_8(frame, value >> 8);
	frame_8(frame, value);
}

/* tags: 0 to 3, the outer ones 802.1ad. */
static inline void frame_link(struct frame *frame, int tags, __u16 type)
{
	frame->length = 0;
	frame_fill(frame, 0x02, 12);
	for (int i = 0; i < tags; i++) {
		frame_16(frame, i + 1 < tags ? LB_ETHERTYPE_QINQ : LB_ETHERTYPE_VLAN);
		frame_16(frame, 100 + i);
	}
	frame_16(frame, type);
}

/* IPv4 header with words of options; length: of what comes behind it. */
static inline void frame_ipv4(struct frame *frame, int options, __u8 protocol, __u32 length)
{
	frame_8(frame, 0x45 + options);
	frame_8(frame, 0x2e); /* DSCP 11, ECT(0) */
	frame_16(frame, 20 + 4 * options + length);
	frame_16(frame, 0);
	frame_16(frame, 0x4000);
	frame_8(frame, 64);
	frame_8(frame, protocol);
	frame_16(frame, 0);
	frame_octets(frame, "\xc0\x00\x02\x01\xcb\x00\x71\x50", 8);
	frame_fill(frame, 1, 4 * options);
}

static inline void frame_ipv6(struct frame *frame, __u8 next, __u32 length)
{
	frame_octets(frame, "\x62\xe0\x00\x00", 4); /* traffic class 0x2e */
	frame_16(frame, length);
	frame_8(frame, next);
	frame_8(frame, 63);
	frame_octets(frame, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	frame_octets(frame, "\x20\x01\x0d\xb8\0\x80\0\0\0\0\0\0\0\0\0\x80", 16);
}

/* An extension header of `octets` octets. */
static inline void frame_extension(struct frame *frame, __u8 kind, __u8 next, __u32 octets)
{
	frame_8(frame, next);
	frame_8(frame, kind == LB_PROTO_AH ? octets / 4 - 2 : octets / 8 - 1);
	frame_fill(frame, 0, octets - 2);
}

static inline void frame_udp(struct frame *frame, __u32 payload)
{
	frame_16(frame, 4000);
	frame_16(frame, 443);
	frame_16(frame, 8 + payload);
	frame_16(frame, 0);
	frame_fill(frame, 0xab, payload);
}

/* What lb_parse() found, with offsets from the frame's beginning in place of pointers. */
struct parsed {
	enum lb_step step;
	struct lb_pkt pkt;
	long ip, udp;
};

/* The first `length` octets of the frame as a frame of their own. */
static inline struct parsed frame_parse_cut(const struct frame *frame, __u32 length)
{
	struct parsed parsed = {};
	__u8 *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, frame->octets, length);
	parsed.step = lb_parse(&parsed.pkt, copy, copy + length, length);
	if (parsed.step == LB_NEXT) {
		parsed.ip = (const __u8 *)parsed.pkt.ip - copy;
		parsed.udp = (const __u8 *)parsed.pkt.udp - copy;
	}
	free(copy);
	return parsed;
}

static inline struct parsed frame_parse(const struct frame *frame)
{
	return frame_parse_cut(frame, frame->length);
}

#endif
