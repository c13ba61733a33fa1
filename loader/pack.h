/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Values into octets and back, by the same calls: what is written and what is read cannot differ in shape.
 * For this machine and this build only: words lie as they lie in memory.
 */
#ifndef SHUNT_PACK_H
#define SHUNT_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack {
	uint8_t *octets;
	size_t n; /* written, or to be read */
	size_t at; /* read so far */
	size_t room;
	bool reads; /* otherwise it writes, and grows */
	int error; /* -ENOMEM, -EINVAL: more was read than there is; then nothing more is done */
};

void pack_octets(struct pack *pack, void *value, size_t size);
/* A fixed buffer with text, of which only the text is kept. */
void pack_text(struct pack *pack, char *buffer, size_t size);
/*
 * A list: its count and, where it is read, zeroed room for it. Each element takes `least` octets or
 * more, so a count that cannot be true takes no memory.
 */
void pack_list(struct pack *pack, uint32_t *n, void **list, size_t size, size_t least);
void pack_free(struct pack *pack);

/* A value in as many octets as it has. */
#define PACK(pack, value) pack_octets(pack, &(value), sizeof(value))
/* An enumeration, which is below `end`. */
#define PACK_ENUM(pack, value, end)                   \
	do {                                          \
		uint8_t octet = (uint8_t)(value);     \
		pack_octets(pack, &octet, 1);         \
		if (octet >= (end) && !(pack)->error) \
			(pack)->error = -EINVAL;      \
		if ((pack)->reads)                    \
			(value) = octet;              \
	} while (0)

#endif
