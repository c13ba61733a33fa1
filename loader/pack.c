/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A buffer that grows when it is written, and is never read past its end. See pack.h.
 */
#include "pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 4096

static bool make_room(struct pack *pack, size_t size)
{
	size_t room = pack->room ? pack->room : FIRST_ROOM;
	uint8_t *octets;

	while (room - pack->n < size)
		room *= 2;
	if (room == pack->room)
		return true;
	octets = realloc(pack->octets, room);
	if (!octets)
		return false;
	pack->octets = octets;
	pack->room = room;
	return true;
}

void pack_octets(struct pack *pack, void *value, size_t size)
{
	if (pack->error)
		return;
	if (pack->reads) {
		if (pack->n - pack->at < size) {
			pack->error = -EINVAL;
			return;
		}
		memcpy(value, pack->octets + pack->at, size);
		pack->at += size;
	} else if (!make_room(pack, size)) {
		pack->error = -ENOMEM;
	} else {
		memcpy(pack->octets + pack->n, value, size);
		pack->n += size;
	}
}

void pack_text(struct pack *pack, char *buffer, size_t size)
{
	uint16_t length = pack->reads ? 0 : (uint16_t)strnlen(buffer, size - 1);

	PACK(pack, length);
	if (length < size)
		pack_octets(pack, buffer, length);
	else if (!pack->error)
		pack->error = -EINVAL;
}

void pack_list(struct pack *pack, uint32_t *n, void **list, size_t size, size_t least)
{
	uint32_t count = *n;

	pack_octets(pack, &count, sizeof(count));
	if (!pack->reads)
		return;
	if (pack->error || count > (pack->n - pack->at) / least) {
		pack->error = pack->error ? pack->error : -EINVAL;
		return;
	}
	*list = count ? calloc(count, size) : NULL;
	if (count && !*list)
		pack->error = -ENOMEM;
	else
		*n = count;
}

void pack_free(struct pack *pack)
{
	free(pack->octets);
	*pack = (struct pack){};
}
