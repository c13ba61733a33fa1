/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Makes of a packet that is too long the answer to its sender, on the XDP tiers of a host. A function of its
 * own, which the verifier walks once: what it costs is paid by those packets alone.
 */
#ifndef LB_ANSWER_H
#define LB_ANSWER_H

#include "lb/maps.h"
#include "lb/too_big.h"

#if LB_MAY_TRACK
#define LB_SECOND_NS 1000000000ull

/*
 * Whether this CPU may answer once more in this second; length: of the packet. What a virtual link hands over
 * uncut is left to user space, which cuts it: each of its packets may fit.
 */
static LB_INLINE int lb_answer_is_due(__u32 half, __u32 length)
{
	const struct lb_setting *setting = bpf_map_lookup_elem(&setting_map, &half);
	__u32 all = 0, second = bpf_ktime_get_ns() / LB_SECOND_NS;
	struct lb_flow_budget *budget = bpf_map_lookup_elem(&flow_budget_map, &all);

	if (!setting || !budget || (setting->ingress_mtu && length > setting->ingress_mtu))
		return 0;
	if (budget->answer_second != second) {
		budget->answer_second = second;
		budget->answers = 0;
	}
	if (budget->answers >= setting->answers)
		return 0;
	budget->answers++;
	return 1;
}

/* To whom it came from, with the tags it came with. front: where it began before. */
static LB_INLINE void lb_turn_link(__u8 *data, __u32 front, __u32 type_at, __u32 ip_version)
{
	__u64 tags = lb_load64(data + front + 12);

	LB_UNROLL
	for (__u32 i = 0; i < 6; i += 2) {
		__u32 destination = lb_load16(data + front + i);

		lb_store16(data + i, lb_load16(data + front + 6 + i));
		lb_store16(data + 6 + i, destination);
	}
	lb_store64(data + 12, tags);
	lb_store16(data + type_at,
		   ip_version == 4 ? LB_CONST16(LB_ETHERTYPE_IPV4) : LB_CONST16(LB_ETHERTYPE_IPV6));
}

/* Of the frame as it came in: octets of the packet if it may be answered, else 0. */
static LB_INLINE __u32 lb_answerable(struct xdp_md *ctx, __u32 type_at, __u32 ip_version, __u32 mtu)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __u8 *ip = data + type_at + 2;

	if (data + LB_ETH_LENGTH > end || ip + LB_QUOTE > end)
		return 0;
	return data[0] & 1 || !lb_may_tell(ip, ip_version, mtu) ? 0 : lb_ip_length(ip, ip_version);
}

/* The frame has been moved and cut: what stands in front of the quote. */
static LB_INLINE int lb_write_answer(struct xdp_md *ctx, __u32 front, __u32 type_at,
				     __u32 ip_version, __u32 mtu)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 *at = data + type_at + 2;

	if (data + front + 20 > end || data + type_at + 2 > end || data + 20 > end)
		return XDP_ABORTED;
	lb_turn_link(data, front, type_at, ip_version);
	if (ip_version == 4) {
		if (at + LB_TOO_BIG_HEADERS(4) + LB_QUOTE > end)
			return XDP_ABORTED;
		lb_tell_ipv4(at, mtu);
	} else {
		if (at + LB_TOO_BIG_HEADERS(6) + LB_QUOTE > end)
			return XDP_ABORTED;
		lb_tell_ipv6(at, mtu);
	}
	return XDP_TX;
}

/*
 * XDP_TX: the frame is the answer now; XDP_PASS: it is as it was. mtu: of the way to the server, without what
 * the mode puts in front. Not static, so that it is verified by itself.
 */
__attribute__((noinline)) int lb_tell_too_big(struct xdp_md *ctx, __u32 shape, __u32 mtu,
					      __u32 half)
{
	__u32 type_at = LB_SHAPE_TYPE_AT(shape), ip_version = LB_SHAPE_VERSION(shape);
	__u32 front = LB_TOO_BIG_HEADERS(ip_version);
	const __u8 *data, *end;
	__u64 length;

	length = lb_answerable(ctx, type_at, ip_version, mtu);
	if (!length || !lb_answer_is_due(half, length))
		return XDP_PASS;
	if (bpf_xdp_adjust_head(ctx, -(int)front))
		return XDP_PASS;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	length = end - data;
	LB_OPAQUE(length); /* or clang subtracts the two one by one, in 32 bits */
	if (bpf_xdp_adjust_tail(ctx, (int)(type_at + 2 + front + LB_QUOTE - length)))
		return XDP_ABORTED;
	return lb_write_answer(ctx, front, type_at, ip_version, mtu);
}
#else
static LB_INLINE int lb_tell_too_big(struct xdp_md *ctx, __u32 shape, __u32 mtu, __u32 half)
{
	(void)ctx;
	(void)shape;
	(void)mtu;
	(void)half;
	return XDP_PASS;
}
#endif

#endif
