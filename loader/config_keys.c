/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The keys that a configuration names, and what cid configs are called and found by.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_internal.h"
#include "keys.h"
#include "lb/cipher.h"

_Static_assert(CONFIG_KEY_SIZE == KEYS_SIZE &&
		       sizeof(((struct config_cid *)0)->fingerprint) == KEYS_FINGERPRINT_SIZE,
	       "keys.h and config.h disagree");

/* Somebody pasted it in: it must not turn up in a log. */
static bool looks_like_a_key(const char *name)
{
	return strlen(name) == 2 * CONFIG_KEY_SIZE &&
	       strspn(name, "0123456789abcdefABCDEF") == 2 * CONFIG_KEY_SIZE;
}

void config_read_key_files(struct config *config, const char *folder,
			   struct config_findings *findings)
{
	char problem[128], shown[CONFIG_SHOWN];

	if (config->n_cids)
		keys_protect(config->cids, config->n_cids * sizeof(*config->cids));
	for (uint32_t i = 0; i < config->n_cids; i++) {
		struct config_cid *cid = &config->cids[i];

		if (!*cid->key_file)
			continue;
		cid->keyed = true;
		if (keys_read(folder, cid->key_file, cid->key, problem, sizeof(problem)))
			config_error(
				findings, PATH_AT("cid_configs[%u].key_file", i), "%s %s",
				looks_like_a_key(cid->key_file) ?
					"(not shown: a key itself, where a file's name belongs)" :
					config_shown(cid->key_file, shown, sizeof(shown)),
				problem);
		else
			keys_fingerprint(cid->key, cid->fingerprint);
	}
}

int config_key_path(const struct config_cid *cid, const char *file, char *path, size_t size)
{
	const char *slash = strrchr(file, '/');
	int folder = slash && *cid->key_file != '/' ? slash + 1 - file : 0;
	int n = snprintf(path, size, "%.*s%s", folder, file, cid->key_file);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

const char *config_algorithm(const struct config_cid *cid)
{
	if (!cid->keyed)
		return "clear";
	return cid->server_id_length + cid->nonce_length == LB_SINGLE_PASS_BODY ? "single-pass" :
										  "four-pass";
}

const char *config_length_check(const struct config_cid *cid)
{
	switch (cid->length_check) {
	case LB_LENGTH_AT_LEAST:
		return "at-least";
	case LB_LENGTH_EQUAL:
		return "equal";
	default:
		return "none";
	}
}

const struct config_cid *config_find_cid(const struct config *config, uint32_t pool, uint32_t id)
{
	for (uint32_t i = 0; i < config->n_cids; i++) {
		const struct config_cid *cid = &config->cids[i];

		if (cid->id == id && (cid->pool == CONFIG_NO_POOL || cid->pool == pool))
			return cid;
	}
	return NULL;
}

void config_find_cids(const struct config *config, uint32_t pool,
		      const struct config_cid *found[LB_CONFIG_IDS])
{
	for (uint32_t id = 0; id < LB_CONFIG_IDS; id++)
		found[id] = config_find_cid(config, pool, id);
}

bool config_same_meaning(const struct config_cid *a, const struct config_cid *b)
{
	return a->server_id_length == b->server_id_length && a->nonce_length == b->nonce_length &&
	       a->keyed == b->keyed && !strcmp(a->fingerprint, b->fingerprint);
}
