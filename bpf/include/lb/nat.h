/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way back of mode nat in XDP: a server's answer gets the VIP for its source and goes to the client. No
 * state is kept for it: the server's own address and port say whose answer it is.
 *
 * Left to the host as they came, to be forwarded by it: fragments, ICMP, frames with VLAN tags (the route
 * would be that of another device), and whatever the kernel has no way or no neighbour for yet.
 */
#ifndef LB_NAT_H
#define LB_NAT_H

#include "lb/rewrite.h"
#include "lb/vip.h"

/* Of sys/socket.h, which knows no BPF. */
#define LB_AF_INET  2
#define LB_AF_INET6 10

static LB_INLINE const struct lb_setting *lb_setting_of(__u32 half)
{
	return bpf_map_lookup_elem(&setting_map, &half);
}

/* address_map's value for where a packet comes from, 0: no nat server. ip, udp: of a parsed packet. */
static LB_INLINE __u32 lb_nat_of(const __u8 *ip, const __u8 *udp, __u32 ip_version,
				 const struct lb_setting *setting)
{
	struct lb_table_key key = { .last = LB_VIP_KEY(ip_version, lb_load16(udp)) };

	if (ip_version == 4) {
		key.first = lb_pair_of(lb_load32(ip + 12), 0);
	} else {
		key.first = lb_load64(ip + 8);
		key.second = lb_load64(ip + 16);
	}
	return lb_table_find(&address_map, &key, &setting->address_base);
}

/* Where an answer is now said to come from. The version is the packet's: a map's value may change. */
static LB_INLINE void lb_nat_answer(__u8 *ip, __u8 *udp, __u32 ip_version, const struct lb_vip *vip)
{
	__u32 sum = 0;

	for (int i = 0; i < 4; i++)
		sum += lb_csum_word(vip->address[i]);
	lb_readdress(ip, udp, ip_version, LB_FROM, vip->address, sum, vip->port);
}

/* Read once: else clang makes a pointer into ctx to read it again, which the verifier refuses. */
static LB_INLINE __u32 lb_came_by(const struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;

	LB_OPAQUE(ifindex);
	return ifindex;
}

/* The kernel's route to the client, from the VIP; not 0: none that is known down to the neighbour. */
static LB_INLINE long lb_nat_route(struct xdp_md *ctx, const __u8 *ip, const __u8 *udp,
				   __u32 ip_version, const struct lb_vip *vip,
				   struct bpf_fib_lookup *way)
{
	way->l4_protocol = LB_PROTO_UDP;
	way->sport = vip->port;
	way->dport = lb_load16(udp + 2);
	way->tot_len = lb_ip_length(ip, ip_version);
	if (ip_version == 4) {
		way->family = LB_AF_INET;
		way->tos = ip[1];
		way->ipv4_src = vip->address[0];
		way->ipv4_dst = lb_load32(ip + 16);
	} else {
		way->family = LB_AF_INET6;
		way->flowinfo = lb_load32(ip) & LB_BE32(0x0fffffff);
		for (int i = 0; i < 4; i++) {
			way->ipv6_src[i] = vip->address[i];
			way->ipv6_dst[i] = lb_load32(ip + 24 + 4 * i);
		}
	}
	return bpf_fib_lookup(ctx, way, sizeof(*way), 0);
}

/*
 * half: of the generation; udp_at: octets of the frame before its UDP header. The verdict of an answer, which
 * is counted then, or XDP_PASS for what was left as it came. Verified by itself, for ctx and numbers are all
 * that it is given.
 */
__attribute__((noinline)) int lb_nat_return(struct xdp_md *ctx, __u32 half, __u32 udp_at,
					    __u32 shape)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 *ip = data + LB_ETH_LENGTH, *udp = data + (udp_at & 1023);
	const struct lb_setting *setting = lb_setting_of(half);
	__u32 version = LB_SHAPE_VERSION(shape), came_by = lb_came_by(ctx), key;
	__u32 verdict = XDP_TX;
	struct bpf_fib_lookup way = { .ifindex = came_by };
	const struct lb_vip *vip;

	if (!setting || LB_SHAPE_TYPE_AT(shape) != LB_ETH_LENGTH - 2 || LB_SHAPE_TTL(shape) <= 1 ||
	    ip + LB_IPV4_LENGTH > end || udp + LB_UDP_LENGTH > end)
		return XDP_PASS;
	/* In one branch the length is known, in the other the version: Linux 6.1 does not connect the two. */
	if (ip + LB_IPV6_LENGTH > end)
		version = 4;
	key = setting->vip_base + LB_NAT_VIP(lb_nat_of(ip, udp, version, setting));
	vip = bpf_map_lookup_elem(&vip_address_map, &key);
	if (!vip || vip->ip_version != version)
		return XDP_PASS;
	if (lb_nat_route(ctx, ip, udp, version, vip, &way) != BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_PASS;
	if (way.ifindex != came_by) {
		verdict = lb_redirect(way.ifindex);
		if (verdict != XDP_REDIRECT)
			return XDP_PASS;
	}
	lb_nat_answer(ip, udp, version, vip);
	__builtin_memcpy(data, way.dmac, sizeof(way.dmac));
	__builtin_memcpy(data + 6, way.smac, sizeof(way.smac));
	if (version == 4)
		lb_decrement_ttl(ip);
	else
		ip[7]--;
	lb_count(&reason_stats, LB_REASON_nat_return, end - data);
	return verdict;
}

/* Whether a packet for no VIP may be such an answer. */
static LB_INLINE int lb_has_nat(const struct lb_pkt *pkt)
{
	const struct lb_setting *setting = lb_setting_of(pkt->generation->half);

	return setting && setting->has_nat;
}

#endif
