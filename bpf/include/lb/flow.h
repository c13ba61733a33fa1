/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What tells one flow without a routable connection ID from another, and how long it is remembered: keys,
 * hashes and times, made of a packet. Compiles for BPF and for the host, which both add to conn_track.
 *
 * Which DCIDs are a server's. A client's first ones are its own, and it changes them only when the server
 * has answered (RFC 9000 section 7.2). So the DCID of the packet that made a flow is taken for the
 * client's, and another one in a later long header for the server's. A short header carries a server's
 * always, but does not say how long it is: octets that two packets of a flow have in common are it.
 */
#ifndef LB_FLOW_H
#define LB_FLOW_H

#include "lb/abi.h"
#include "lb/hash.h"
#include "lb/quic.h"

/* No QUIC packet is shorter (RFC 9000 section 10.3.3): of shorter ones only the addresses count. */
#define LB_FLOW_PACKET_MIN 21

enum lb_flow_form {
	LB_FLOW_LONG = 1, /* header; neither: nothing that is QUIC */
	LB_FLOW_SHORT = 2,
	LB_FLOW_CID = 4, /* the DCID has LB_FLOW_CID_OCTETS, of a short header perhaps */
};

/* A packet, as conn_track is asked for it. */
struct lb_flow_query {
	struct lb_flow_key key; /* where it is, or would be, kept */
	__u32 form; /* enum lb_flow_form */
	__u32 cid[2]; /* of the DCID, if LB_FLOW_CID */
	__u32 scid; /* hash, of a long header */
};

/* n: octets of at that count, below eight. */
static LB_INLINE __u64 lb_flow_few_octets(const __u8 *at, __u32 n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return lb_load64(at) & ((1ull << (8 * n)) - 1);
#else
	return n ? lb_load64(at) >> (8 * (8 - n)) : 0;
#endif
}

/*
 * at: the octet of a long header that says how long the SCID behind it is. Its first and last eight octets
 * count. 0 if it runs past the datagram.
 */
static LB_INLINE __u32 lb_flow_scid(const __u8 *at, const void *end)
{
	__u64 first, last = 0;
	const __u8 *tail;
	__u32 n;

	if (at + 9 > (const __u8 *)end)
		return 0;
	n = at[0];
	if (n < 8) {
		first = lb_flow_few_octets(at + 1, n);
	} else {
		first = lb_load64(at + 1);
		tail = at + (n - 8);
		if (tail + 9 > (const __u8 *)end)
			return 0;
		last = lb_load64(tail + 1);
	}
	return (__u32)lb_hash(first, last, n);
}

/* The first of its datagram's packets. length: of the UDP payload. */
static LB_INLINE void lb_flow_look(struct lb_flow_query *query, const __u8 *payload, __u32 length,
				   const void *end)
{
	const __u8 *dcid = payload + 1;

	query->form = 0;
	query->scid = 0;
	query->cid[0] = query->cid[1] = 0;
	if (length < LB_FLOW_PACKET_MIN || payload + LB_FLOW_PACKET_MIN > (const __u8 *)end)
		return;
	query->form = LB_FLOW_SHORT | LB_FLOW_CID;
	if (payload[0] & 0x80) {
		query->form = LB_FLOW_LONG;
		if (payload[5] >= LB_FLOW_CID_OCTETS)
			query->form |= LB_FLOW_CID;
		query->scid = lb_flow_scid(payload + LB_QUIC_LONG_MIN + payload[5], end);
		dcid += LB_QUIC_LONG_MIN - 1;
	}
	if (query->form & LB_FLOW_CID) {
		query->cid[0] = lb_load32(dcid);
		query->cid[1] = lb_load32(dcid + 4);
	}
}

/* Its 4-tuple: where a client sends from. ip, udp: of a parsed packet; of: LB_FLOW_OF(). 0 if unreadable. */
static LB_INLINE int lb_flow_tuple(struct lb_flow_key *key, const __u8 *ip, const __u8 *udp,
				   const void *end, __u32 of)
{
	if (ip + 20 > (const __u8 *)end || udp + 8 > (const __u8 *)end)
		return 0;
	if ((of >> 16 & 0xff) == 4) {
		key->word[0] = lb_load32(ip + 12);
		key->word[1] = key->word[2] = key->word[3] = 0;
	} else {
		if (ip + 40 > (const __u8 *)end)
			return 0;
		for (int i = 0; i < 4; i++)
			key->word[i] = lb_load32(ip + 8 + 4 * i);
	}
	key->word[4] = LB_FLOW_PORT(lb_load16(udp), 0);
	key->of = of;
	return 1;
}

/* The key of another connection with the tuple's: by the client's connection ID. */
static LB_INLINE void lb_flow_to_scid(struct lb_flow_key *key, __u32 scid)
{
	key->word[4] = LB_FLOW_PORT(key->word[4], scid);
	key->of = (key->of & 0xffffff) | LB_FLOW_OF(LB_FLOW_SCID, 0, 0);
}

/* of: of a tuple's key, for the VIP. */
static LB_INLINE struct lb_flow_key lb_flow_cid_key(const __u32 *cid, __u32 of)
{
	return (struct lb_flow_key){
		.word = { cid[0], cid[1] },
		.of = LB_FLOW_OF(LB_FLOW_DCID, of & 0xffff, 0),
	};
}

static LB_INLINE int lb_flow_has_cid(const struct lb_flow *flow, const struct lb_flow_query *query)
{
	return query->form & LB_FLOW_CID && flow->cid[0] == query->cid[0] &&
	       flow->cid[1] == query->cid[1];
}

/* Whether a packet of the flow's tuple is one of its connection, for all that can be told. */
static LB_INLINE int lb_flow_matches(const struct lb_flow *flow, const struct lb_flow_query *query)
{
	if (query->form & LB_FLOW_LONG)
		return flow->scid == query->scid;
	return !(query->form & LB_FLOW_CID) || !(flow->cid[0] | flow->cid[1]) ||
	       lb_flow_has_cid(flow, query);
}

/* The flow's flags after a packet of it. */
static LB_INLINE __u32 lb_flow_learn(const struct lb_flow *flow, const struct lb_flow_query *query)
{
	int is_short = !!(query->form & LB_FLOW_SHORT);
	__u32 flags = flow->flags;

	if (is_short)
		flags |= LB_FLOW_ESTABLISHED;
	if (query->form & LB_FLOW_CID && flow->cid[0] | flow->cid[1] &&
	    lb_flow_has_cid(flow, query) == is_short)
		flags |= LB_FLOW_LONG_CID;
	return flags;
}

/* A hash of a DCID, used like that of a 4-tuple. */
static LB_INLINE __u64 lb_flow_cid_hash(__u32 first, __u32 second)
{
	__u64 product = lb_multiply(first ^ 0x53c5ca59, second ^ 0x74743c1b) ^ first;

	return lb_multiply(lb_factor((__u32)product ^ second), (__u32)(product >> 32) ^ 0x85ebca6b);
}

/*
 * Times. They are the lower half of jiffies, so later is less than half of their range away.
 */
static LB_INLINE __u32 lb_flow_patience(const struct lb_flow *flow,
					const struct lb_setting *setting)
{
	return flow->flags & LB_FLOW_ESTABLISHED ? setting->established_ticks :
						   setting->handshake_ticks;
}

static LB_INLINE int lb_flow_expired(const struct lb_flow *flow, const struct lb_setting *setting,
				     __u32 now)
{
	return (__s32)(now - flow->seen) > (__s32)lb_flow_patience(flow, setting);
}

#endif
