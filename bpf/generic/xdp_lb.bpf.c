/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The generic tier: generic XDP, in the kernel's receive path, for drivers without XDP of their own.
 */
#define LB_MAY_PERCPU	1
#define LB_MAY_REDIRECT 1
#define LB_MAY_AES	1
#define LB_MAY_GUE	1
#define LB_MAY_TRACK	1
#include "lb/pipeline.h"
#include "lb/track.h"

SEC("xdp")
int shunt_generic(struct xdp_md *ctx)
{
	struct lb_pkt pkt = {};
	enum lb_step step;

	step = lb_parse_xdp(ctx, &pkt);
	if (step != LB_NEXT && lb_ends_as_icmp(&pkt))
		return lb_leave_icmp(ctx, &pkt);
	if (step == LB_NEXT)
		step = lb_begin(&pkt);
	if (step == LB_NEXT) {
		step = lb_find_vip(&pkt);
		if (step != LB_NEXT && lb_has_nat(&pkt))
			return lb_leave_or_return(ctx, &pkt);
	}
	if (step != LB_NEXT)
		return lb_leave(&pkt);
	step = lb_route_by_cid(&pkt);
	if (step == LB_NEXT)
		step = lb_route_by_flow(ctx, &pkt);
	if (step == LB_FORWARD)
		lb_forward(ctx, &pkt);
	return lb_finish(&pkt);
}

char _license[] SEC("license") = "Dual BSD/GPL";
