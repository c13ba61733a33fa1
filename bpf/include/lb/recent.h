/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow_recent_map: whether conn_track may know a flow, told by sixteen bits of it, so that a flood of new flows
 * costs no look-up each.
 *
 * A flow of any hash has one line and, in it, two words of four slots (of one flow in eight they are the same word);
 * its slot is in the word that had more room when it came. A slot has a tag, eight bits of the hash, and until when
 * the flow is not expired. Where both words are full a slot becomes everybody's: as long as it lasts, whoever has that
 * word may be known. So no flow is missed, and of those that nobody knows one in fifty is asked for when conn_track is
 * half full, one in three when it is full; of short headers twice as many, for they are looked for by their DCID too.
 * Words are read whole and their slots compared in one go; slots are written one at a time, for other CPUs write their
 * neighbours.
 */
#ifndef LB_RECENT_H
#define LB_RECENT_H

#include "lb/abi.h"
#include "lb/bytes.h"

#define LB_RECENT_ALL 0x0001000100010001ull /* times sixteen bits: in each slot of a word */
#define LB_RECENT_LOW (0xff * LB_RECENT_ALL)
#define LB_RECENT_YES (0x100 * LB_RECENT_ALL) /* where comparisons leave their answers */
/* Tags; those between are of flows. */
#define LB_RECENT_NOBODY 0
#define LB_RECENT_ANY	 255

/* Of a hash: the line, two words in it, and the tag. The row is of other bits. */
#define LB_RECENT_INDEX(hash, mask) ((__u32)((hash) >> 40) & (mask) / LB_RECENT_SLOTS)
#define LB_RECENT_FIRST(hash)	    ((__u32)((hash) >> 29) & 7)
#define LB_RECENT_SECOND(hash)	    ((__u32)((hash) >> 26) & 7)
#define LB_RECENT_TAG(hash)	    ((((__u32)((hash) >> 32) & 0xff) * 254 >> 8) + 1)

/*
 * What the map says of a time. An octet comes round: what is long over seems to last for a while again, and to take
 * room; that costs look-ups and nothing else.
 */
static LB_INLINE __u32 lb_recent_time(const struct lb_setting *setting, __u32 ticks)
{
	return ticks >> setting->recent_shift & 0xff;
}

/*
 * Whether it tells of every flow: not before what an earlier setting wrote, in other units, is too old to
 * matter.
 */
static LB_INLINE int lb_recent_counts(const struct lb_setting *setting, __u32 now)
{
	return (now - setting->recent_since) >> setting->recent_shift > setting->recent_life;
}

/* For each slot of a word YES where its tag is another one. tags: in each slot. */
static LB_INLINE __u64 lb_recent_differs(__u64 word, __u64 tags)
{
	return ((word ^ tags) & LB_RECENT_LOW) + LB_RECENT_LOW;
}

/* YES where the tag is neither the flow's nor everybody's; other bits say nothing. */
static LB_INLINE __u64 lb_recent_others(__u64 word, __u64 tags)
{
	return lb_recent_differs(word, tags) &
	       lb_recent_differs(word, LB_RECENT_ANY * LB_RECENT_ALL);
}

/* YES where the time has not come. time: lb_recent_time() of now; life: of the setting, below 255. */
static LB_INLINE __u64 lb_recent_lasting(__u64 word, __u32 time, __u32 life)
{
	__u64 left = (word >> 8 & LB_RECENT_LOW) + (0x100 - time) * LB_RECENT_ALL;

	return ~((left & LB_RECENT_LOW) + (0xff - life) * LB_RECENT_ALL) & LB_RECENT_YES;
}

/* YES where nothing is, or nothing any more. */
static LB_INLINE __u64 lb_recent_free(__u64 word, __u32 time, __u32 life)
{
	return ~(lb_recent_lasting(word, time, life) &
		 lb_recent_differs(word, LB_RECENT_NOBODY * LB_RECENT_ALL)) &
	       LB_RECENT_YES;
}

/* Whether a flow of this hash may be there and not be expired. */
static LB_INLINE int lb_recent_met(const struct lb_recent *line, __u64 hash, __u32 time, __u32 life)
{
	__u64 tags = LB_RECENT_TAG(hash) * LB_RECENT_ALL;
	__u64 first = line->words[LB_RECENT_FIRST(hash)];
	__u64 second = line->words[LB_RECENT_SECOND(hash)];
	__u64 not_first = lb_recent_others(first, tags),
	      not_second = lb_recent_others(second, tags);

	if (LB_LIKELY(!(~(not_first & not_second) & LB_RECENT_YES)))
		return 0;
	return ((~not_first & lb_recent_lasting(first, time, life)) |
		(~not_second & lb_recent_lasting(second, time, life))) != 0;
}

/* A slot's place in its word. at: YES, where one may be chosen. */
static LB_INLINE __u32 lb_recent_place(__u64 at)
{
	/* One of four bits, moved to where the constant has the number that it stands for. */
	__u32 place = (__u32)(((at & -at) >> 8) * 0x0000000100020003ull >> 48) & 3;

	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? place : 3 - place;
}

/* How many slots are YES. */
static LB_INLINE __u32 lb_recent_many(__u64 at)
{
	return (__u32)((at >> 8) * LB_RECENT_ALL >> 48);
}

typedef __u16 __attribute__((may_alias)) lb_recent_slot;

/* The slot of a line that was chosen: where YES, in the first word if there is one. */
static LB_INLINE lb_recent_slot *lb_recent_at(struct lb_recent *line, __u64 hash, __u64 in_first,
					      __u64 in_second)
{
	__u32 word = in_first ? LB_RECENT_FIRST(hash) : LB_RECENT_SECOND(hash);
	__u32 place = lb_recent_place(in_first ? in_first : in_second);

	return (lb_recent_slot *)line->words + word * LB_RECENT_WORD + place;
}

/* Until the later one of two times. */
static LB_INLINE __u32 lb_recent_prolonged(__u32 slot, __u32 wanted, __u32 time)
{
	__u32 until = slot >> 8;

	return ((until - time) & 0xff) > ((wanted - time) & 0xff) ? until : wanted;
}

/* YES where the tag is this one. */
static LB_INLINE __u64 lb_recent_tagged(__u64 word, __u32 tag)
{
	return ~lb_recent_differs(word, tag * LB_RECENT_ALL) & LB_RECENT_YES;
}

/*
 * A flow has been met and shall last until `wanted`, as lb_recent_time() has it: in its own slot; else in one that is
 * free; else in everybody's, and if there is none one becomes it. In that order, for what is everybody's shall not
 * outlast the need for it. Two CPUs may take the same slot: lb_flow_add() heals that.
 */
static LB_INLINE void lb_recent_write(struct lb_recent *line, __u64 hash, __u32 wanted, __u32 time,
				      __u32 life)
{
	__u64 first = line->words[LB_RECENT_FIRST(hash)];
	__u64 second = line->words[LB_RECENT_SECOND(hash)];
	__u64 free_first = lb_recent_free(first, time, life);
	__u64 free_second = lb_recent_free(second, time, life);
	__u32 tag = LB_RECENT_TAG(hash);
	__u64 in_first = lb_recent_tagged(first, tag) & ~free_first;
	__u64 in_second = lb_recent_tagged(second, tag) & ~free_second;
	lb_recent_slot *slot;

	if (in_first | in_second) {
		slot = lb_recent_at(line, hash, in_first, in_second);
		wanted = lb_recent_prolonged(*slot, wanted, time);
	} else if (free_first | free_second) {
		if (lb_recent_many(free_first) < lb_recent_many(free_second))
			free_first = 0;
		slot = lb_recent_at(line, hash, free_first, free_second);
	} else {
		tag = LB_RECENT_ANY;
		in_first = lb_recent_tagged(first, tag);
		in_second = lb_recent_tagged(second, tag);
		if (!(in_first | in_second))
			in_first = LB_RECENT_YES;
		slot = lb_recent_at(line, hash, in_first, in_second);
		wanted = lb_recent_prolonged(*slot, wanted, time);
	}
	*slot = (__u16)(wanted << 8 | tag);
}

/* The same, where most flows are there already and last until then: no later than anything does. */
static LB_INLINE void lb_recent_meet(struct lb_recent *line, __u64 hash, __u32 wanted, __u32 time,
				     __u32 life)
{
	if (!lb_recent_met(line, hash, wanted, life - ((wanted - time) & 0xff)))
		lb_recent_write(line, hash, wanted, time, life);
}

#endif
