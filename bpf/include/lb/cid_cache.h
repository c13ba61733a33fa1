/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Encrypted connection IDs that this CPU has decoded lately, and the servers they name: a packet of one of them
 * needs no AES. It is no state of a connection: whatever is lost here is decoded again.
 *
 * Packets come in trains, so the next one often has the CID of the last. Where they do not, as with very many
 * connections at once or with made-up CIDs, asking costs and brings nothing: so each CPU counts, and leaves it
 * alone while fewer than one packet of four is found, but for a try once in a while.
 */
#ifndef LB_CID_CACHE_H
#define LB_CID_CACHE_H

#include "lb/maps.h"

#if LB_MAY_AES && defined(__bpf__)
/* A CID as its config compares it. */
struct lb_cid_words {
	__u64 first, second;
	__u32 last;
};

/* cid: 1 + LB_CID_MAX octets are readable. */
static LB_INLINE struct lb_cid_words lb_cid_words(const __u8 *cid,
						  const struct lb_cid_config *config)
{
	const lb_pair *match = (const lb_pair *)config->match;

	return (struct lb_cid_words){
		.first = lb_load64(cid) & match[0],
		.second = lb_load64(cid + 8) & match[1],
		.last = lb_load32(cid + 16) & config->match[4],
	};
}

/*
 * A new window begins: the last two say whether to go on, for the first one of other packets finds nothing yet; and
 * one in a while is a try.
 */
static LB_INLINE void lb_cache_judge(struct lb_cid_cache_state *state, __u32 window)
{
	__u32 found = state->found, asked = found + state->missed;

	state->all_found += found;
	state->all_missed += state->missed;
	state->window = window;
	state->found = 0;
	state->missed = 0;
	if (asked) {
		state->rests = state->poor & (found * LB_CACHE_WORTH < asked);
		state->poor = found * LB_CACHE_WORTH < asked;
	}
	if (!(window & (LB_CACHE_TRY_WINDOWS - 1)))
		state->rests = 0;
}

/* Whether this CPU asks now. NULL: it does not. */
static LB_INLINE struct lb_cid_cache_state *lb_cache_asks(void)
{
	__u32 key = 0, window = (__u32)(bpf_jiffies64() >> LB_CACHE_WINDOW_SHIFT);
	struct lb_cid_cache_state *state = bpf_map_lookup_elem(&cid_cache_state, &key);

	if (!state)
		return NULL;
	if (LB_UNLIKELY(state->window != window))
		lb_cache_judge(state, window);
	return state->rests ? NULL : state;
}

/* The set where a CID may stand: its bits are ciphertext, and as good as a hash. Four octets all CIDs have. */
static LB_INLINE struct lb_cached_cid *lb_cache_set(const struct lb_cid_words *cid, __u32 mask)
{
	__u32 at = (__u32)(cid->first >> 16), page = at / LB_CACHE_PAGE_SETS & mask;
	struct lb_cid_cache_page *cached = bpf_map_lookup_elem(&cid_cache_map, &page);

	return cached ? cached->set[at & (LB_CACHE_PAGE_SETS - 1)] : NULL;
}

/* Its server, 0: another CID stands there, or one of another generation or pool. */
static LB_INLINE __u32 lb_cache_match(const struct lb_cached_cid *cached,
				      const struct lb_cid_words *cid, __u64 of)
{
	__u64 differs = (cached->cid[0] ^ cid->first) | (cached->cid[1] ^ cid->second) |
			(cached->last ^ cid->last) | (*(const lb_pair *)&cached->number ^ of);

	LB_OPAQUE(differs);
	return differs ? 0 : cached->server;
}

static LB_INLINE __u32 lb_cache_find(const struct lb_cached_cid *set,
				     const struct lb_cid_words *cid, __u64 of)
{
	__u32 server = lb_cache_match(&set[0], cid, of);

	return server ? server : lb_cache_match(&set[1], cid, of);
}

static LB_INLINE void lb_cache_put(struct lb_cached_cid *cached, const struct lb_cid_words *cid,
				   __u64 of, __u32 server)
{
	cached->cid[0] = cid->first;
	cached->cid[1] = cid->second;
	cached->last = cid->last;
	cached->server = server;
	*(lb_pair *)&cached->number = of;
}
#endif

#endif
