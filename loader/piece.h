/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The headers of a fragment of UDP: which datagram it belongs to, which octets of it it has. Pure.
 */
#ifndef SHUNT_PIECE_H
#define SHUNT_PIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* False: the frame is none, or cannot be read. */
bool piece_read(const uint8_t *frame, size_t length, struct piece *piece);

/* A fragment's own headers, for whoever sends it on. */
struct piece_place {
	uint32_t link_length, ip_version, ip_length, ttl;
	uint32_t udp_at; /* in the frame; 0: it is not the datagram's first, or cut before UDP's header ends */
};

/* False: it is no fragment. */
bool piece_place(const uint8_t *frame, size_t length, struct piece_place *place);

#endif
