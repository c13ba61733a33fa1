/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Clear-text QUIC-LB connection IDs: first octet, server ID, nonce. */
#include "cid.h"

#include <string.h>
#include <sys/random.h>

enum {
	CONFIG_SHIFT = 5,
	LENGTH_MASK = 0x1f,
	MIN_LEN_WITHOUT_CONFIG = 8,
};

const char *cid_config_check(const struct cid_config *cfg)
{
	if (cfg->config_id == CID_CONFIG_NONE) {
		if (cfg->server_id_len)
			return "a server ID needs --config-id 0 to 6";
		if (!cfg->describe_length)
			return "without --config-id the length must be described";
		if (cfg->nonce_len > CID_MAX_BODY)
			return "a nonce has at most 19 octets";
		return NULL;
	}
	if (cfg->config_id > CID_CONFIG_NONE)
		return "--config-id is 0 to 6";
	if (!cfg->server_id_len)
		return "--config-id needs --server-id with 1 to 15 octets";
	if (cfg->nonce_len < CID_MIN_NONCE)
		return "--nonce-length is at least 4";
	/* QUIC v1 ends at 20 octets, of which the first is not part of the body. */
	if (cfg->server_id_len + cfg->nonce_len > CID_MAX_BODY)
		return "server ID and nonce have at most 19 octets together";
	return NULL;
}

size_t cid_length(const struct cid_config *cfg)
{
	size_t len = 1 + (size_t)cfg->server_id_len + cfg->nonce_len;

	if (cfg->config_id == CID_CONFIG_NONE && len < MIN_LEN_WITHOUT_CONFIG)
		return MIN_LEN_WITHOUT_CONFIG;
	return len;
}

size_t cid_issue(const struct cid_config *cfg, uint8_t *cid)
{
	size_t len = cid_length(cfg);

	/*
	 * All random first, then the fixed parts over it. A counter would do for uniqueness, but
	 * in clear text a nonce must not show its relation to earlier ones.
	 */
	if (getrandom(cid, len, 0) != (ssize_t)len)
		return 0;
	cid[0] = (uint8_t)(cfg->config_id << CONFIG_SHIFT |
			   (cfg->describe_length ? len - 1 : (cid[0] & LENGTH_MASK)));
	memcpy(cid + 1, cfg->server_id, cfg->server_id_len);
	return len;
}

enum cid_class cid_classify(const struct cid_config *cfg, const uint8_t *cid, size_t len,
			    struct cid_parts *parts)
{
	/* Without a configuration the octets after the first are random: nothing to read. */
	if (cfg->config_id == CID_CONFIG_NONE)
		return CID_UNKNOWN;
	if (len != cid_length(cfg) || cid[0] >> CONFIG_SHIFT != cfg->config_id)
		return CID_UNKNOWN;
	if (cfg->describe_length && (cid[0] & LENGTH_MASK) != len - 1)
		return CID_UNKNOWN;
	if (parts) {
		parts->server_id = cid + 1;
		parts->server_id_len = cfg->server_id_len;
		parts->nonce = cid + 1 + cfg->server_id_len;
		parts->nonce_len = cfg->nonce_len;
	}
	/* memcmp: a server ID is an octet string and may hold zeros. */
	if (memcmp(cid + 1, cfg->server_id, cfg->server_id_len))
		return CID_OTHER;
	return CID_OWN;
}
