/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connection IDs by libshunt-cid: configs put in force, issued under, decoded. */
#include "cid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int fail(char *why, const struct cid_config *config, int error)
{
	const char *system = strerror(errno);
	bool from_system = error == SHUNT_CID_ERR_KEY_OPEN || error == SHUNT_CID_ERR_STATE_OPEN ||
			   error == SHUNT_CID_ERR_STATE_WRITE;

	if (config)
		snprintf(why, CID_WHY, "config %u: %s%s%s", config->lib.config_id,
			 shunt_cid_strerror(error), from_system ? ": " : "",
			 from_system ? system : "");
	else
		snprintf(why, CID_WHY, "%s", shunt_cid_strerror(error));
	return -1;
}

static const struct cid_config *find(const struct cid_configs *configs, unsigned int config_id)
{
	for (size_t i = 0; i < configs->n; i++) {
		if (configs->list[i].lib.config_id == config_id)
			return &configs->list[i];
	}
	return NULL;
}

static bool same(const struct cid_config *a, const struct cid_config *b)
{
	return a->lib.server_id_length == b->lib.server_id_length &&
	       a->lib.nonce_length == b->lib.nonce_length && a->lib.flags == b->lib.flags &&
	       a->lib.worker_length == b->lib.worker_length &&
	       !memcmp(a->lib.worker, b->lib.worker, a->lib.worker_length) &&
	       !memcmp(a->lib.server_id, b->lib.server_id, a->lib.server_id_length) &&
	       !strcmp(a->key_file, b->key_file);
}

static int add(struct cids *cids, const struct cid_config *config, char *why)
{
	struct shunt_cid_config lib = config->lib;
	uint8_t key[SHUNT_CID_KEY_LENGTH];
	int error = 0;

	if (config->key_file[0]) {
		error = shunt_cid_read_key(config->key_file, key);
		lib.key = key;
	}
	if (!error)
		error = shunt_cid_add_config(cids->lib, &lib);
	explicit_bzero(key, sizeof(key));
	if (error)
		return fail(why, config, error);
	cids->lengths[lib.config_id] = (uint8_t)shunt_cid_length(cids->lib, lib.config_id);
	return 0;
}

/* The config to issue under; NULL if there is none to be. */
static const struct cid_config *active_of(const struct cid_configs *wanted)
{
	for (size_t i = 0; i < wanted->n; i++) {
		if (!wanted->list[i].retiring)
			return &wanted->list[i];
	}
	return NULL;
}

static int add_new(struct cids *cids, const struct cid_configs *wanted, char *why)
{
	for (size_t i = 0; i < wanted->n; i++) {
		const struct cid_config *held = find(&cids->configs, wanted->list[i].lib.config_id);

		if (held && !same(held, &wanted->list[i]))
			return fail(why, held, SHUNT_CID_ERR_HELD);
	}
	for (size_t i = 0; i < wanted->n; i++) {
		if (find(&cids->configs, wanted->list[i].lib.config_id))
			continue;
		if (add(cids, &wanted->list[i], why))
			return -1;
		/* At once, or another try after a failure would find it held. */
		cids->configs.list[cids->configs.n++] = wanted->list[i];
	}
	return 0;
}

static int open_library(struct cids *cids, const struct cid_configs *wanted, char *why)
{
	const struct shunt_cid_config random = {
		.config_id = SHUNT_CID_UNCONFIGURED,
		.nonce_length = wanted->random_length,
	};
	int error = shunt_cid_open(&random, &cids->lib);

	if (error)
		return fail(why, NULL, error);
	cids->lengths[SHUNT_CID_UNCONFIGURED] =
		(uint8_t)shunt_cid_length(cids->lib, SHUNT_CID_UNCONFIGURED);
	return 0;
}

int cids_apply(struct cids *cids, const struct cid_configs *wanted, char *why)
{
	const struct cid_config *active = active_of(wanted);

	if (!cids->lib && open_library(cids, wanted, why))
		return -1;
	if (add_new(cids, wanted, why))
		return -1;
	shunt_cid_activate(cids->lib, active ? active->lib.config_id : SHUNT_CID_UNCONFIGURED);
	for (size_t i = 0; i < cids->configs.n; i++) {
		unsigned int config_id = cids->configs.list[i].lib.config_id;

		if (!find(wanted, config_id))
			shunt_cid_retire(cids->lib, config_id);
	}
	cids->configs = *wanted;
	return 0;
}

void cids_close(struct cids *cids)
{
	shunt_cid_close(cids->lib);
	cids->lib = NULL;
}

int cids_issue(struct cids *cids, const uint8_t *begun, size_t begun_length, uint8_t *cid)
{
	unsigned int config_id = shunt_cid_active(cids->lib);
	size_t length = SHUNT_CID_MAX_LENGTH;
	int error;

	if (begun && cids->lengths[config_id] != begun_length)
		config_id = begun[0] >> 5;
	error = shunt_cid_issue_under(cids->lib, config_id, cid, &length);
	return error ? error : (int)length;
}

size_t cids_short_length(const struct cids *cids, uint8_t octet)
{
	size_t length = cids->lengths[octet >> 5];

	/* Of nobody's config: a packet gone astray, told of with as much as ours would have. */
	return length ? length : cids->lengths[shunt_cid_active(cids->lib)];
}

struct shunt_cid_info cids_decode(struct cids *cids, const uint8_t *cid, size_t length)
{
	struct shunt_cid_info info;

	if (shunt_cid_decode(cids->lib, cid, length, &info))
		memset(&info, 0, sizeof(info));
	return info;
}
