/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Internet checksum, as far as forwarding needs it (RFC 1071, RFC 1624). Sums are over 16-bit
 * words as they lie in memory, so byte order does not enter.
 */
#ifndef LB_CSUM_H
#define LB_CSUM_H

#include "lb/bytes.h"

#define LB_IPV4_DF 0x4000 /* every outer header of ours says: do not fragment */

static LB_INLINE __u32 lb_csum_word(__u32 word)
{
	return (word & 0xffff) + (word >> 16);
}

/* Twice: one fold of 0x1ffff leaves a carry. */
static LB_INLINE __u16 lb_csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The header checksum after a 16-bit word went from `before` to `after` (RFC 1624, equation 3). */
static LB_INLINE __u16 lb_csum_replace(__u16 check, __u16 before, __u16 after)
{
	return ~lb_csum_fold((__u16)~check + (__u32)(__u16)~before + after);
}

#endif
