// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Headers of variable length, stores to the packet, XDP_TX.
// verdict: accepted
// words: 123
#include "case.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

SEC("xdp")
int ok_parse_transmit(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp;
	__u32 length;
	__u16 port;
	int i;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	length = ip->ihl * 4;
	if (length < sizeof(*ip) || ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	udp = (void *)ip + length;
	if ((void *)(udp + 1) > end || udp->dest != bpf_htons(443))
		return XDP_PASS;
#pragma unroll
	for (i = 0; i < ETH_ALEN; i++) {
		__u8 octet = eth->h_dest[i];

		eth->h_dest[i] = eth->h_source[i];
		eth->h_source[i] = octet;
	}
	port = udp->dest;
	udp->dest = udp->source;
	udp->source = port;
	return XDP_TX;
}
