/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * QUIC-LB: the server id in a connection ID (draft-ietf-quic-load-balancers-21 sections 3 to 5).
 *
 * Lengths and algorithm come from the config that the first octet names, never from the packet: a
 * CID that is longer than its config needs is fine, the excess is the server's own.
 */
#ifndef LB_CID_H
#define LB_CID_H

#include "lb/abi.h"
#include "lb/cipher.h"
#include "lb/counters.h"
#include "lb/quic.h"

static LB_INLINE __u32 lb_cid_config_id(__u8 first_octet)
{
	return first_octet >> 5;
}

/*
 * Whether the length that the first octet describes fits: only where the operator says that every
 * server describes it. "Equal" looks at long headers alone, for a short one does not say where its
 * DCID ends; servers that append octets of their own and do not count them need "at least".
 */
static LB_INLINE int lb_cid_length_fits(const struct lb_cid_config *config,
					const struct lb_dcid *dcid)
{
	__u32 described = dcid->octets[0] & 0x1f;
	if (described < config->least_described)
		return 0;
	return config->length_check != LB_LENGTH_EQUAL || !dcid->is_long ||
	       described == dcid->length - 1;
}

/* Whether a CID has the octets its config asks for. dcid->octets[0] must be readable. */
static LB_INLINE enum lb_reason lb_cid_check(const struct lb_cid_config *config,
					     const struct lb_dcid *dcid)
{
	if (config->algorithm == LB_CID_UNSET)
		return LB_REASON_hash_unknown_config;
	if (dcid->length < config->cid_length)
		return LB_REASON_hash_short_dcid;
	return lb_cid_length_fits(config, dcid) ? LB_REASON_cid : LB_REASON_hash_wrong_length;
}

/*
 * The first words of a clear CID's body, as they lie there. Whole words: the card's verifier takes no
 * copy of run-time length. A word that begins inside the server id ends inside the body, for the nonce
 * has four octets at least. 0 if it would read past end.
 */
static LB_INLINE int lb_cid_clear_by_word(const struct lb_cid_config *config, const __u8 *body,
					  const void *end, __u32 *words)
{
	LB_UNROLL
	for (__u32 i = 0; i < 4; i++) {
		words[i] = 0;
		if (config->server_id_length > 4 * i) {
			if (body + 4 * i + 4 > (const __u8 *)end)
				return 0;
			words[i] = lb_load32(body + 4 * i);
		}
	}
	return 1;
}

/* QUIC packets are longer than sixteen octets behind the first one: what they are not is the rare case. */
static LB_INLINE int lb_cid_clear(const struct lb_cid_config *config, const __u8 *body,
				  const void *end, __u32 *words)
{
	if (LB_UNLIKELY(body + 16 > (const __u8 *)end))
		return lb_cid_clear_by_word(config, body, end, words);
	LB_UNROLL
	for (int i = 0; i < 4; i++)
		words[i] = lb_load32(body + 4 * i);
	return 1;
}

/*
 * The server id of a CID that lb_cid_check() passed, zero-padded to four words. key: for an encrypted
 * config, else unused; then LB_CID_LEAD octets before the body must be readable too. Returns
 * LB_REASON_cid, or why the CID is unroutable (draft section 4.1).
 */
static LB_INLINE enum lb_reason lb_cid_server_id(const struct lb_cid_config *config,
						 const struct lb_cid_key *key, const __u8 *cid,
						 const void *end, __u32 *words)
{
	const __u8 *body = cid + 1;

	if (config->algorithm != LB_CID_CLEAR)
		return key && lb_cid_decrypt(key, body - LB_CID_LEAD, end, words) ?
			       LB_REASON_cid :
			       LB_REASON_hash_short_dcid;
	if (!lb_cid_clear(config, body, end, words))
		return LB_REASON_hash_short_dcid;
	LB_UNROLL
	for (__u32 i = 0; i < 4; i++)
		words[i] &= config->mask[i];
	return LB_REASON_cid;
}

#ifndef __bpf__
/*
 * A config as the data path reads it, from the lengths of server id and nonce, whether there is a key, and
 * what the first octet's length has to say. The tag is whoever's who knows the server ids.
 */
static inline struct lb_cid_config lb_cid_config_make(__u32 server_id, __u32 nonce, int keyed,
						      enum lb_length_check check)
{
	__u32 body = server_id + nonce;
	struct lb_cid_config config = {
		.algorithm = !keyed			 ? LB_CID_CLEAR :
			     body == LB_SINGLE_PASS_BODY ? LB_CID_SINGLE_PASS :
							   LB_CID_FOUR_PASS,
		.server_id_length = (__u8)server_id,
		.nonce_length = (__u8)nonce,
		.length_check = (__u8)check,
		.cid_length = (__u8)(1 + body),
		.least_described = check == LB_LENGTH_UNCHECKED ? 0 : (__u8)body,
	};

	__builtin_memset(config.mask, 0xff, server_id);
	__builtin_memset(config.match, 0xff, keyed ? 1 + body : server_id);
	return config;
}
#endif

#endif
