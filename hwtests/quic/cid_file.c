/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reads the configs that --cid-file names. */
#include "cid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_LINE = 512,
};

size_t cid_unhex(const char *text, uint8_t *octets, size_t room)
{
	size_t length = strlen(text);

	if (length % 2 || length / 2 > room || strspn(text, "0123456789abcdefABCDEF") != length)
		return 0;
	for (size_t i = 0; i < length / 2; i++) {
		const char octet[3] = { text[2 * i], text[2 * i + 1], '\0' };

		octets[i] = (uint8_t)strtoul(octet, NULL, 16);
	}
	return length / 2;
}

/* What is wrong with the line, NULL if nothing is. */
static const char *read_line(char *line, struct cid_config *config)
{
	char id[MAX_LINE], key[MAX_LINE], state[MAX_LINE], rest;
	unsigned int config_id, nonce;

	if (sscanf(line, "%u %511s %u %511s %511s %c", &config_id, id, &nonce, key, state, &rest) !=
	    5)
		return "not CONFIG-ID SERVER-ID NONCE-LENGTH KEY-FILE|- active|retiring";
	if (config_id >= CID_CONFIGS)
		return "the config id is 0 to 6";
	if (nonce > UINT8_MAX)
		return "the nonce has 4 to 18 octets";
	config->lib.config_id = (uint8_t)config_id;
	config->lib.nonce_length = (uint8_t)nonce;
	config->lib.server_id_length =
		(uint8_t)cid_unhex(id, config->lib.server_id, sizeof(config->lib.server_id));
	if (!config->lib.server_id_length)
		return "the server id has 1 to 15 octets in hexadecimal";
	if (strlen(key) >= sizeof(config->key_file))
		return "the key file's path is too long";
	strcpy(config->key_file, strcmp(key, "-") ? key : "");
	config->retiring = !strcmp(state, "retiring");
	return config->retiring || !strcmp(state, "active") ? NULL :
							      "the state is active or retiring";
}

static const char *add_line(char *line, uint32_t flags, struct cid_configs *wanted)
{
	struct cid_config config = { .lib.flags = flags };
	const char *wrong = read_line(line, &config);

	if (wrong)
		return wrong;
	for (size_t i = 0; i < wanted->n; i++) {
		if (wanted->list[i].lib.config_id == config.lib.config_id)
			return "this config id is there already";
		if (!config.retiring && !wanted->list[i].retiring)
			return "there is an active config already";
	}
	wanted->list[wanted->n++] = config;
	return NULL;
}

static int read_lines(FILE *file, const char *path, uint32_t flags, struct cid_configs *wanted,
		      char *why)
{
	char line[MAX_LINE];

	for (unsigned int number = 1; fgets(line, sizeof(line), file); number++) {
		const char *first = line + strspn(line, " \t\r\n"), *wrong;

		if (!*first || *first == '#')
			continue;
		wrong = add_line(line, flags, wanted);
		if (wrong) {
			snprintf(why, CID_WHY, "%s:%u: %s", path, number, wrong);
			return -1;
		}
	}
	return 0;
}

int cid_file_read(const char *path, uint32_t flags, struct cid_configs *wanted, char *why)
{
	FILE *file = fopen(path, "re");
	int error;

	wanted->n = 0;
	if (!file) {
		snprintf(why, CID_WHY, "%s: %s", path, strerror(errno));
		return -1;
	}
	error = read_lines(file, path, flags, wanted, why);
	fclose(file);
	return error;
}
