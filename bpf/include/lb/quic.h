/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * QUIC as far as all its versions agree (RFC 8999): the header form and the DCID. Nothing else of a
 * packet steers routing; packet types and the fixed bit differ between versions or are greased.
 */
#ifndef LB_QUIC_H
#define LB_QUIC_H

#include "lb/bytes.h"

#define LB_QUIC_LONG_MIN 6 /* flags, version, DCID length */

struct lb_dcid {
	const __u8 *octets;
	/*
	 * Long header: the DCID's length, 0 to 255. Short header: all that follows the first octet, for
	 * only the receiver knows how much of it is the DCID.
	 */
	__u32 length;
	__u32 is_long; /* header form */
};

/*
 * payload, length: the UDP payload; only the first QUIC packet of a datagram counts, coalesced ones
 * carry the same DCID (RFC 9000 section 12.2). False if no DCID of at least one octet is there.
 */
static LB_INLINE int lb_quic_dcid(const __u8 *payload, __u32 length, const void *end,
				  struct lb_dcid *dcid)
{
	const __u8 *again;
	__u32 is_long;

	if (length < 2 || !LB_STILL_READABLE(end, payload, 2))
		return 0;
	is_long = payload[0] >> 7;
	dcid->length = length - 1;
	if (is_long) {
		/* To the verifier another pointer: of payload it knows two octets then, in both header forms. */
		again = payload + (lb_forget(0, length) & 1);
		if (length <= LB_QUIC_LONG_MIN || !LB_STILL_READABLE(end, again, LB_QUIC_LONG_MIN))
			return 0;
		dcid->length = again[5];
		if (!dcid->length || dcid->length > length - LB_QUIC_LONG_MIN)
			return 0;
	}
	/* By arithmetic, so that the verifier goes on with one pointer and not with two. */
	dcid->is_long = lb_forget(is_long, length) & 1;
	dcid->octets = payload + 1 + dcid->is_long * (LB_QUIC_LONG_MIN - 1);
	return 1;
}

#endif
