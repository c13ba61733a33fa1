/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP addresses and octet strings between text and octets. Never asks a name server.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "config.h"

const char *config_address_text(const struct config_address *address, char *buffer)
{
	buffer[0] = '\0';
	if (address->family)
		inet_ntop(address->family, address->octets, buffer, INET6_ADDRSTRLEN);
	return buffer;
}

int config_address_parse(const char *text, struct config_address *address)
{
	struct config_address found = {};

	if (inet_pton(AF_INET, text, found.octets) == 1)
		found.family = AF_INET;
	else if (inet_pton(AF_INET6, text, found.octets) == 1)
		found.family = AF_INET6;
	else
		return -EINVAL;
	*address = found;
	return 0;
}

bool config_address_equal(const struct config_address *a, const struct config_address *b)
{
	return a->family == b->family && !memcmp(a->octets, b->octets, sizeof(a->octets));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int config_hex_parse(const char *text, uint8_t *octets, size_t max)
{
	size_t n = 0;

	while (*text) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return -EINVAL;
		if (n == max)
			return -ENOSPC;
		octets[n++] = high << 4 | low;
		text += 2;
		/* "c4:60:5e", as the draft's YANG model writes it. */
		if (text[0] == ':' && text[1])
			text++;
	}
	return n;
}

const char *config_hex_text(const uint8_t *octets, size_t n, char *buffer)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		buffer[2 * i] = digits[octets[i] >> 4];
		buffer[2 * i + 1] = digits[octets[i] & 15];
	}
	buffer[2 * n] = '\0';
	return buffer;
}
