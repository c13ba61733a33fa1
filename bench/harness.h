/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the harness program and the bench share: the maps' names and values.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <linux/types.h>

/* The octets of a frame that differ from packet to packet or that forwarding changes. */
#define HARNESS_WORDS  11
#define HARNESS_OCTETS (8 * HARNESS_WORDS)

/* frame_map: the beginnings of all prepared frames. */
struct harness_frame {
	__u64 word[HARNESS_WORDS];
};

/* control_map[0]: which of them to send, one after the other and around. */
struct harness_control {
	__u32 base;
	__u32 count;
	__u32 next; /* below count */
	__u32 length; /* of a whole frame */
	/* What changes the client's address of each packet, and by how much it goes on: 0 and 0, it stays. */
	__u64 salt, salt_step;
};

/*
 * Four octets of the source address, in IPv4 as in IPv6: the word they lie in, and the bits. A step that
 * makes every address another one before any comes again: 2^64 over the golden ratio.
 */
#define HARNESS_SALTED	  3
#define HARNESS_SALT_MASK 0x0000ffffffff0000ull
#define HARNESS_SALT_STEP 0x9e3779b97f4a7c15ull

#endif
