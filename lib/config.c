/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One config: whether it is sound, and what issuing and decoding under it take. */
#include <string.h>

#include "internal.h"

/* A pass number that the four-pass network does not have: no connection ID shows this block. */
#define CHECK_PASS 6

static int check_random(const struct shunt_cid_config *config)
{
	if (config->server_id_length)
		return SHUNT_CID_ERR_SERVER_ID;
	if (config->nonce_length &&
	    (config->nonce_length < 7 || config->nonce_length > LB_BODY_MAX))
		return SHUNT_CID_ERR_LENGTH;
	if (config->worker_length)
		return SHUNT_CID_ERR_WORKER;
	return config->key || config->state_file ? SHUNT_CID_ERR_CONFIG_ID : 0;
}

static int check_worker(const struct shunt_cid_config *config)
{
	if (!config->worker_length)
		return 0;
	if (config->worker_length > SHUNT_CID_MAX_WORKER)
		return SHUNT_CID_ERR_WORKER;
	/* In front of the counter too, which must keep the four octets that the draft wants. */
	if (config->key && config->nonce_length - config->worker_length < LB_NONCE_MIN)
		return SHUNT_CID_ERR_WORKER;
	return config->key || config->worker_key ? 0 : SHUNT_CID_ERR_WORKER_KEY;
}

int shunt_cid_check_(const struct shunt_cid_config *config)
{
	unsigned int body = config->server_id_length + config->nonce_length;

	if (config->flags & ~SHUNT_CID_DESCRIBE_LENGTH)
		return SHUNT_CID_ERR_ARGUMENT;
	for (int i = 0; i < 4; i++) {
		if (config->reserved[i])
			return SHUNT_CID_ERR_ARGUMENT;
	}
	if (config->config_id == SHUNT_CID_UNCONFIGURED)
		return check_random(config);
	if (config->config_id > SHUNT_CID_UNCONFIGURED)
		return SHUNT_CID_ERR_CONFIG_ID;
	if (config->server_id_length < LB_SERVER_ID_MIN ||
	    config->server_id_length > LB_SERVER_ID_MAX)
		return SHUNT_CID_ERR_SERVER_ID;
	if (config->nonce_length < LB_NONCE_MIN || config->nonce_length > LB_NONCE_MAX)
		return SHUNT_CID_ERR_NONCE;
	if (body > LB_BODY_MAX)
		return SHUNT_CID_ERR_LENGTH;
	if (1 + body + config->worker_length > SHUNT_CID_MAX_LENGTH)
		return SHUNT_CID_ERR_LENGTH;
	if (!config->key && config->state_file)
		return SHUNT_CID_ERR_STATE_CLEAR;
	return check_worker(config);
}

/* A number that tells keys apart and says nothing else about them. */
static uint64_t key_check(const struct held_config *held)
{
	struct lb_aes_block block = { { 0x7368756e, 0x742d6369, 0x64, CHECK_PASS } };

	lb_aes_encrypt(&held->key.aes, &block);
	return (uint64_t)block.word[0] << 32 | block.word[1];
}

int shunt_cid_hold_(struct held_config *held, const struct shunt_cid_config *config)
{
	const uint8_t *worker_key = config->worker_key ? config->worker_key : config->key;
	int error = 0;

	held->config_id = config->config_id;
	held->keyed = config->key;
	held->flags = (uint8_t)config->flags;
	held->worker_length = config->worker_length;
	memcpy(held->server_id, config->server_id, config->server_id_length);
	memcpy(held->worker, config->worker, config->worker_length);
	held->layout = lb_cid_config_make(config->server_id_length, config->nonce_length,
					  config->key != NULL, LB_LENGTH_UNCHECKED);
	if (held->worker_length && worker_key)
		lb_aes_expand(worker_key, &held->worker_key);
	if (held->keyed) {
		lb_cid_key_prepare(config->key, config->server_id_length, config->nonce_length,
				   &held->key);
		error = shunt_cid_counter_open_(&held->counter,
						config->nonce_length - config->worker_length,
						config->state_file, key_check(held));
	}
	if (error)
		explicit_bzero(held, sizeof(*held));
	else
		held->held = true;
	return error;
}

void shunt_cid_drop_(struct held_config *held, bool save)
{
	if (held->held && held->keyed)
		shunt_cid_counter_close_(&held->counter, save);
	explicit_bzero(held, sizeof(*held));
}
