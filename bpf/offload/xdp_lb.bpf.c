/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The offload tier: on the card, by what its verifier takes. It only transmits or passes; a server that
 * leaves by another port is the host tier's to reach.
 */
#define LB_MAY_PERCPU	0 /* HASH and ARRAY only */
#define LB_MAY_REDIRECT 0 /* the card drops XDP_REDIRECT without a word */
#define LB_MAY_AES	0 /* no .rodata for the tables */
#define LB_MAY_GUE	0 /* no instruction to spare */
#define LB_MAY_TRACK	0
/* The card takes a fixed number of words: code that is shared, and what is rare is left to the host. */
#define LB_MAX_EXTENSIONS	     0
#define LB_MIN_PAYLOAD		     21
#define LB_SUB			     __attribute__((noinline))
#define LB_LOOP			     LB_NO_UNROLL
#define LB_FEW_WAYS		     1
#define LB_STILL_READABLE(end, p, n) ((void)(end), 1)
#include "lb/pipeline.h"

SEC("xdp")
int shunt_offload(struct xdp_md *ctx)
{
	struct lb_pkt pkt = {};
	enum lb_step step;

	step = lb_parse_xdp(ctx, &pkt);
	if (step == LB_NEXT)
		step = lb_begin(&pkt);
	if (step == LB_NEXT)
		step = lb_find_vip(&pkt);
	if (step != LB_NEXT)
		return lb_leave(&pkt);
	if (lb_route_on_card(&pkt) == LB_FORWARD)
		lb_forward(ctx, &pkt);
	return lb_finish(&pkt);
}

char _license[] SEC("license") = "Dual BSD/GPL";
