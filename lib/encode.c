/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The octets of a connection ID under one config: made, and read back by the data path's own code. */
#include <string.h>

#include "internal.h"

/* A pass number that the four-pass network does not have. */
#define WORKER_PASS 5

size_t shunt_cid_length_(const struct held_config *held)
{
	return 1u + held->layout.server_id_length + held->layout.nonce_length + held->worker_length;
}

static void load_block(struct lb_aes_block *block, const uint8_t *octets)
{
	for (int i = 0; i < 4; i++)
		block->word[i] ^= LB_BE32(lb_load32(octets + 4 * i));
}

/*
 * Exclusive-or with a pseudo-random function of the body (CBC-MAC, which is one for messages of fixed
 * length): without the key the octets of two connection IDs of one worker have nothing in common.
 */
static void mask_worker(const struct held_config *held, const uint8_t *body, unsigned int length,
			uint8_t *worker)
{
	struct lb_aes_block block = { { 0 } };
	uint8_t message[32] = { 0 };

	memcpy(message, body, length);
	message[30] = (uint8_t)length;
	message[31] = WORKER_PASS;
	load_block(&block, message);
	lb_aes_encrypt(&held->worker_key, &block);
	load_block(&block, message + 16);
	lb_aes_encrypt(&held->worker_key, &block);
	for (unsigned int i = 0; i < held->worker_length; i++)
		worker[i] ^= (uint8_t)(block.word[0] >> (24 - 8 * i));
}

/*
 * In clear a nonce must not show how it follows from others. Under a key it must not come again; the
 * worker stands in front, for workers count each for itself and would meet at the same number.
 */
static int make_nonce(struct held_config *held, uint8_t *nonce)
{
	if (!held->keyed)
		return shunt_cid_random_(nonce, held->layout.nonce_length);
	memcpy(nonce, held->worker, held->worker_length);
	return shunt_cid_counter_take_(&held->counter, nonce + held->worker_length);
}

int shunt_cid_make_(struct held_config *held, uint8_t *cid)
{
	unsigned int body = held->layout.server_id_length + held->layout.nonce_length;
	uint8_t first = (uint8_t)(shunt_cid_length_(held) - 1);
	uint8_t made[SHUNT_CID_MAX_LENGTH];
	int error = 0;

	if (!(held->flags & SHUNT_CID_DESCRIBE_LENGTH))
		error = shunt_cid_random_(&first, 1);
	if (!error)
		error = make_nonce(held, made + 1 + held->layout.server_id_length);
	if (error)
		return error;
	made[0] = (uint8_t)(held->config_id << 5 | (first & 0x1f));
	memcpy(made + 1, held->server_id, held->layout.server_id_length);
	if (held->keyed)
		lb_cid_encrypt(&held->key.aes, made + 1, body);
	if (held->worker_length) {
		memcpy(made + 1 + body, held->worker, held->worker_length);
		mask_worker(held, made + 1, body, made + 1 + body);
	}
	memcpy(cid, made, shunt_cid_length_(held));
	return 0;
}

int shunt_cid_make_random_(uint8_t *cid, size_t length)
{
	int error = shunt_cid_random_(cid + 1, length - 1);

	cid[0] = (uint8_t)(SHUNT_CID_UNCONFIGURED << 5 | (length - 1));
	return error;
}

void shunt_cid_read_(const struct held_config *held, const uint8_t *cid, size_t length,
		     struct shunt_cid_info *info)
{
	/* The data path finds the packet's headers in front of a connection ID. */
	uint8_t packet[LB_CID_LEAD + SHUNT_CID_MAX_LENGTH] = { 0 };
	size_t used = length < SHUNT_CID_MAX_LENGTH ? length : SHUNT_CID_MAX_LENGTH;
	struct lb_dcid dcid = { .octets = packet + LB_CID_LEAD, .length = (__u32)used };
	unsigned int body = held->layout.server_id_length + held->layout.nonce_length;
	__u32 words[4];

	memcpy(packet + LB_CID_LEAD, cid, used);
	if (lb_cid_check(&held->layout, &dcid) != LB_REASON_cid ||
	    lb_cid_server_id(&held->layout, held->keyed ? &held->key : NULL, dcid.octets,
			     packet + sizeof(packet), words) != LB_REASON_cid)
		return;
	info->server_id_length = held->layout.server_id_length;
	memcpy(info->server_id, words, info->server_id_length);
	info->owner = memcmp(info->server_id, held->server_id, info->server_id_length) ?
			      SHUNT_CID_OTHER :
			      SHUNT_CID_OWN;
	if (held->worker_length && used >= shunt_cid_length_(held)) {
		info->worker_length = held->worker_length;
		memcpy(info->worker, cid + 1 + body, held->worker_length);
		mask_worker(held, cid + 1, body, info->worker);
	}
}
