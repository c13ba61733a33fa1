/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The server's end of the tunnel: takes the outer headers, IP or IP, UDP and GUE, off what a balancer
 * sent, for hosts without a tunnel device. Passes everything else as it came.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "lb/abi.h"
#include "lb/csum.h"
#include "lb/parse.h"

/* Anybody can send IP in IP, with any inner source: only what balancers send is believed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct lb_peer);
	__type(value, __u32);
	__uint(max_entries, 1024);
} peer_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct lb_decap);
	__uint(max_entries, 1);
} decap_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct lb_count);
	__uint(max_entries, LB_DECAP_COUNT);
} decap_stats SEC(".maps");

/* What the parser finds out, and all that the rewriting needs. */
struct tunnel {
	struct lb_pkt pkt; /* the link header */
	__u32 mac[3];
	__u32 outer; /* octets of the outer headers */
	__u32 payload; /* octets behind them, as they state it */
	__u32 inner_version;
	__u32 ecn; /* outer */
};

static LB_INLINE __u32 inner_version(__u32 protocol)
{
	if (protocol == LB_PROTO_IPIP)
		return 4;
	return protocol == LB_PROTO_IPV6 ? 6 : 0;
}

static LB_INLINE int is_peer(__u32 ip_version, const __u8 *source, __u32 words)
{
	struct lb_peer peer = { .ip_version = ip_version };

#pragma clang loop unroll(full)
	for (__u32 i = 0; i < 4; i++)
		if (i < words)
			peer.address[i] = lb_load32(source + 4 * i);
	return bpf_map_lookup_elem(&peer_map, &peer) != NULL;
}

/* udp: of an unfragmented datagram. 1: to the port where GUE is taken off. */
static LB_INLINE int is_for_gue(const struct tunnel *tunnel, const __u8 *udp)
{
	__u32 zero = 0;
	const struct lb_decap *decap = bpf_map_lookup_elem(&decap_map, &zero);

	if (udp + LB_UDP_LENGTH > (const __u8 *)tunnel->pkt.end)
		return 0;
	return decap && decap->gue_port && lb_load16(udp + 2) == decap->gue_port;
}

/*
 * Of a datagram that is_for_gue(): UDP, and GUE without anything that this does not know: variant 0, no
 * control message, no optional fields, no flags. UDP's checksum is not looked at; what is inside has its
 * own, which the host's stack checks.
 */
static LB_INLINE enum lb_decap_counter parse_gue(struct tunnel *tunnel)
{
	const __u8 *udp = (const __u8 *)tunnel->pkt.ip + tunnel->outer;
	__u32 length;

	if (udp + LB_GUE_LENGTH > (const __u8 *)tunnel->pkt.end)
		return LB_DECAP_malformed;
	length = lb_read16(udp + 4);
	if (length < LB_GUE_LENGTH || length > tunnel->payload || udp[8] || lb_load16(udp + 10))
		return LB_DECAP_malformed;
	tunnel->inner_version = inner_version(udp[9]);
	if (!tunnel->inner_version)
		return LB_DECAP_malformed;
	tunnel->outer += LB_GUE_LENGTH;
	tunnel->payload = length - LB_GUE_LENGTH;
	return LB_DECAP_decapsulated;
}

static LB_INLINE enum lb_decap_counter parse_outer_ipv4(struct tunnel *tunnel)
{
	const __u8 *ip = tunnel->pkt.ip;
	__u32 total;
	int gue;

	if (ip + LB_IPV4_LENGTH > (const __u8 *)tunnel->pkt.end)
		return LB_DECAP_malformed;
	tunnel->outer = (ip[0] & 0x0f) << 2;
	tunnel->inner_version = inner_version(ip[9]);
	gue = ip[9] == LB_PROTO_UDP && !(lb_read16(ip + 6) & LB_IPV4_FRAGMENT) &&
	      is_for_gue(tunnel, ip + tunnel->outer);
	if (!tunnel->inner_version && !gue)
		return LB_DECAP_not_tunnel;
	if (!is_peer(4, ip + 12, 1))
		return LB_DECAP_stranger;
	total = lb_read16(ip + 2);
	if (ip[0] >> 4 != 4 || tunnel->outer < LB_IPV4_LENGTH || total < tunnel->outer)
		return LB_DECAP_malformed;
	if (lb_read16(ip + 6) & LB_IPV4_FRAGMENT)
		return LB_DECAP_fragment;
	tunnel->payload = total - tunnel->outer;
	tunnel->ecn = ip[1] & 3;
	return gue ? parse_gue(tunnel) : LB_DECAP_decapsulated;
}

static LB_INLINE enum lb_decap_counter parse_outer_ipv6(struct tunnel *tunnel)
{
	const __u8 *ip = tunnel->pkt.ip;
	int gue;

	if (ip + LB_IPV6_LENGTH > (const __u8 *)tunnel->pkt.end)
		return LB_DECAP_malformed;
	tunnel->inner_version = inner_version(ip[6]);
	gue = ip[6] == LB_PROTO_UDP && is_for_gue(tunnel, ip + LB_IPV6_LENGTH);
	if (!tunnel->inner_version && !gue)
		return LB_DECAP_not_tunnel;
	if (!is_peer(6, ip + 8, 4))
		return LB_DECAP_stranger;
	if (ip[0] >> 4 != 6)
		return LB_DECAP_malformed;
	tunnel->outer = LB_IPV6_LENGTH;
	tunnel->payload = lb_read16(ip + 4);
	tunnel->ecn = ip[1] >> 4 & 3;
	return gue ? parse_gue(tunnel) : LB_DECAP_decapsulated;
}

/* What comes out must be a packet that the outer header really held. */
static LB_INLINE int inner_is_sane(const struct tunnel *tunnel)
{
	const __u8 *ip = (const __u8 *)tunnel->pkt.ip + tunnel->outer;
	const __u8 *end = tunnel->pkt.end;
	__u32 header, total;

	if (ip + LB_IPV4_LENGTH > end || ip[0] >> 4 != tunnel->inner_version)
		return 0;
	if (tunnel->inner_version == 4) {
		header = (ip[0] & 0x0f) << 2;
		total = lb_read16(ip + 2);
		if (header < LB_IPV4_LENGTH)
			return 0;
	} else {
		header = LB_IPV6_LENGTH;
		total = LB_IPV6_LENGTH + lb_read16(ip + 4);
	}
	return total >= header && total <= tunnel->payload;
}

static LB_INLINE enum lb_decap_counter parse(struct xdp_md *ctx, struct tunnel *tunnel)
{
	const void *data = (void *)(long)ctx->data;
	enum lb_decap_counter found = LB_DECAP_not_tunnel;
	__u32 type, room;

	tunnel->pkt.end = (void *)(long)ctx->data_end;
	/* Not known to the verifier, as lb_forget() wants it. */
	tunnel->pkt.frame_length = (__u32)((const __u8 *)tunnel->pkt.end - (const __u8 *)data);
	if (lb_parse_link(&tunnel->pkt, data, &type) != LB_NEXT)
		return LB_DECAP_not_tunnel;
	tunnel->mac[0] = lb_load32(data);
	tunnel->mac[1] = lb_load32(data + 4);
	tunnel->mac[2] = lb_load32(data + 8);
	if (type == LB_CONST16(LB_ETHERTYPE_IPV4))
		found = parse_outer_ipv4(tunnel);
	else if (type == LB_CONST16(LB_ETHERTYPE_IPV6))
		found = parse_outer_ipv6(tunnel);
	if (found != LB_DECAP_decapsulated)
		return found;
	room = tunnel->pkt.end - tunnel->pkt.ip;
	if (tunnel->outer + tunnel->payload > room || !inner_is_sane(tunnel))
		return LB_DECAP_malformed;
	return LB_DECAP_decapsulated;
}

/*
 * RFC 6040 section 4.2, figure 4: two bits for each pair of inner (rows) and outer ECN field. The
 * code points are 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. The pair (Not-ECT, CE) is dropped before.
 */
#define ECN_ROW(a, b, c, d) ((a) | (b) << 2 | (c) << 4 | (d) << 6)
#define ECN_TABLE                                                       \
	((__u32)ECN_ROW(0, 0, 0, 0) | (__u32)ECN_ROW(1, 1, 1, 3) << 8 | \
	 (__u32)ECN_ROW(2, 1, 2, 3) << 16 | (__u32)ECN_ROW(3, 3, 3, 3) << 24)
#define ECN_CE 3

static LB_INLINE __u32 ecn_combine(__u32 inner, __u32 outer)
{
	return ECN_TABLE >> (inner << 3 | outer << 1) & 3;
}

/* IPv4: low bits of octet 1; IPv6: the traffic class lies four bits further up. */
static LB_INLINE __u32 ecn_shift(const struct tunnel *tunnel)
{
	return tunnel->inner_version == 6 ? 4 : 0;
}

static LB_INLINE __u32 inner_ecn(const struct tunnel *tunnel)
{
	const __u8 *ip = (const __u8 *)tunnel->pkt.ip + tunnel->outer;

	if (ip + LB_IPV4_LENGTH > (const __u8 *)tunnel->pkt.end)
		return 0;
	return ip[1] >> ecn_shift(tunnel) & 3;
}

static LB_INLINE void set_ecn(__u8 *ip, const struct tunnel *tunnel, __u32 ecn)
{
	__u32 shift = ecn_shift(tunnel);
	__u16 before = *(__u16 *)ip, after;

	ip[1] = (ip[1] & ~(3 << shift)) | ecn << shift;
	after = *(__u16 *)ip;
	if (tunnel->inner_version == 4 && before != after)
		*(__u16 *)(ip + 10) = lb_csum_replace(*(__u16 *)(ip + 10), before, after);
}

/* The caller has checked that the longest link header can be written at `at`. */
static LB_INLINE void write_link(__u8 *at, const struct tunnel *tunnel)
{
	__u16 type = tunnel->inner_version == 4 ? LB_CONST16(LB_ETHERTYPE_IPV4) :
						  LB_CONST16(LB_ETHERTYPE_IPV6);
	__u32 *word = (__u32 *)at;

	word[0] = tunnel->mac[0];
	word[1] = tunnel->mac[1];
	word[2] = tunnel->mac[2];
	if (tunnel->pkt.link_length == LB_ETH_LENGTH) {
		*(__u16 *)(at + 12) = type;
	} else if (tunnel->pkt.link_length == LB_ETH_LENGTH + 4) {
		word[3] = tunnel->pkt.vlan[0];
		*(__u16 *)(at + 16) = type;
	} else {
		word[3] = tunnel->pkt.vlan[0];
		word[4] = tunnel->pkt.vlan[1];
		*(__u16 *)(at + 20) = type;
	}
}

static LB_INLINE enum lb_decap_counter decapsulate(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	__u32 inner = inner_ecn(tunnel);
	__u8 *data, *ip;

	if (!inner && tunnel->ecn == ECN_CE)
		return LB_DECAP_ecn_drop;
	/* Nothing has been written yet, so a refusal leaves the packet whole. */
	if (bpf_xdp_adjust_head(ctx, tunnel->outer))
		return LB_DECAP_malformed;
	data = (void *)(long)ctx->data;
	ip = data + tunnel->pkt.link_length;
	if (data + LB_ETH_LENGTH + LB_IPV4_LENGTH > (__u8 *)(long)ctx->data_end ||
	    ip + LB_IPV4_LENGTH > (__u8 *)(long)ctx->data_end)
		return LB_DECAP_malformed;
	write_link(data, tunnel);
	set_ecn(ip, tunnel, ecn_combine(inner, tunnel->ecn));
	return LB_DECAP_decapsulated;
}

static LB_INLINE void count(enum lb_decap_counter counter, __u32 octets)
{
	__u32 key = counter;
	struct lb_count *entry = bpf_map_lookup_elem(&decap_stats, &key);

	if (!entry)
		return;
	entry->packets++;
	entry->octets += octets;
}

SEC("xdp")
int shunt_decap(struct xdp_md *ctx)
{
	__u32 octets = ctx->data_end - ctx->data;
	enum lb_decap_counter counter;
	struct tunnel tunnel = {};

	counter = parse(ctx, &tunnel);
	if (counter == LB_DECAP_decapsulated)
		counter = decapsulate(ctx, &tunnel);
	count(counter, octets);
	return counter == LB_DECAP_ecn_drop ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
