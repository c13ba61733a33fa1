/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What devices do for a host: datagrams that lie in one packet, one by one, each with its checksum; packets
 * cut into fragments. Pure.
 */
#ifndef SHUNT_SEGMENTS_H
#define SHUNT_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Datagrams of one frame. */
struct segments {
	const uint8_t *frame;
	size_t length; /* of the frame, as its headers say */
	uint32_t ip, udp; /* where the headers begin */
	uint32_t size; /* payload of each; 0: the frame is left as it is, but for its checksum */
	size_t at; /* of the payload that comes next */
	uint32_t n; /* so far */
	bool done;
};

/* gso_size: as struct lb_handed has it. A frame that cannot be read comes out as it went in. */
void segments_begin(struct segments *segments, const uint8_t *frame, size_t length,
		    uint32_t gso_size);
/* The next one into `out`, which has room for the frame. Its length, 0: there are no more. */
size_t segments_next(struct segments *segments, uint8_t *out);

/*
 * An IPv4 packet's fragments of at most mtu octets, the same way: from is where the next begins, of the packet's
 * payload. frame, length: with the link header of link_length. 0: there are no more, or it cannot be cut.
 */
size_t segments_cut(const uint8_t *frame, size_t length, uint32_t link_length, uint32_t mtu,
		    size_t *from, uint8_t *out);

#endif
