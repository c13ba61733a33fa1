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
#include "lb/counters.h"
#include "lb/quic.h"

static LB_INLINE __u32 lb_cid_config_id(__u8 first_octet)
{
	return first_octet >> 5;
}

/*
 * The server id of a CID, zero-padded to four words. Returns LB_REASON_cid, or why the CID is
 * unroutable (draft section 4.1). dcid->octets[0] must be readable; words is written on success.
 */
static LB_INLINE enum lb_reason lb_cid_server_id(const struct lb_cid_config *config,
						 const struct lb_dcid *dcid, const void *end,
						 __u32 *words)
{
	const __u8 *body = dcid->octets + 1;
	__u32 length = config->server_id_length;

	if (config->algorithm != LB_CID_CLEAR)
		return LB_REASON_hash_unknown_config;
	if (dcid->length < 1 + length + config->nonce_length)
		return LB_REASON_hash_short_dcid;
		/*
	 * Whole words, masked: the card's verifier takes no copy of run-time length. A word that begins
	 * inside the server id ends inside the body, for the nonce has four octets at least.
	 */
#pragma clang loop unroll(full)
	for (__u32 i = 0; i < 4; i++) {
		words[i] = 0;
		if (length > 4 * i) {
			if (body + 4 * i + 4 > (const __u8 *)end)
				return LB_REASON_hash_short_dcid;
			words[i] = lb_load32(body + 4 * i) & config->mask[i];
		}
	}
	return LB_REASON_cid;
}

#endif
