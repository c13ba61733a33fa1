/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every reason and counter there is, once: name, what became of the packet, and a sentence for
 * people. Enums, loader output, man page and tests are made from these lists.
 */
#ifndef LB_COUNTERS_H
#define LB_COUNTERS_H

/*
 * Each packet an XDP tier sees ends with exactly one reason, so the reasons add up to the packets.
 * X(name, verdict, help); verdict is PASS (left to the next tier, untouched), FORWARD (to a server), RETURN (a
 * server's answer, to its client), ANSWER (to the sender, by the balancer itself) or DROP (by the user-space
 * balancer, below which there is nobody: what it passes is dropped, too).
 */
#define LB_REASONS(X)                                                                              \
	X(no_config, PASS, "no configuration has been applied yet")                                \
	X(not_ip, PASS, "neither IPv4 nor IPv6, or more than two VLAN tags")                       \
	X(malformed, PASS, "a header is cut short or contradicts the frame's length")              \
	X(fragment, PASS, "an IP fragment: QUIC does not send them")                               \
	X(ip_options, PASS,                                                                        \
	  "IPv6 extension headers that are too many, too long or a source route")                  \
	X(not_udp, PASS, "another protocol than UDP")                                              \
	X(not_vip, PASS, "for none of the VIPs")                                                   \
	X(no_server, PASS, "the VIP's pool has no server that takes new connections")              \
	X(no_next_hop, PASS, "the way to the server (egress, MAC address) is not known")           \
	X(ttl_expired, PASS, "TTL or hop limit would reach zero")                                  \
	X(needs_key, PASS, "an encrypted connection ID, which this tier cannot decode")            \
	X(short_packet, PASS, "too short for the connection ID to be compared in whole words")     \
	X(no_headroom, PASS, "no room for the outer header, before the frame or in its length")    \
	X(too_big, PASS,                                                                           \
	  "too long for the way to the server, and may be fragmented or not be answered")          \
	X(icmp_unrelated, PASS, "an ICMP message for a VIP that quotes none of its packets")       \
	X(icmp_absurd, PASS, "an ICMP message for a VIP with an MTU that cannot be true")          \
	X(fragments_incomplete, DROP,                                                              \
	  "in user space: fragments that never told where to go, or that overlap")                 \
	X(overloaded, DROP, "in user space: it cannot keep up, or a sender's queue is full")       \
	X(cid, FORWARD, "by the server id in the connection ID")                                   \
	X(known_cid, FORWARD, "by an encrypted connection ID that user space has decoded before")  \
	X(flow, FORWARD, "by where its flow went before: addresses and ports")                     \
	X(flow_cid, FORWARD, "by where its flow went before: the connection ID of a server")       \
	X(icmp, FORWARD, "an ICMP error, to the server whose packet it quotes")                    \
	X(nat_return, RETURN, "an answer of a nat server, now from its VIP")                       \
	X(too_big_answered, ANSWER,                                                                \
	  "too long for the way to the server: the sender was told the MTU")                       \
	X(hash_no_dcid, FORWARD, "by the 4-tuple: no connection ID, or it runs past the datagram") \
	X(hash_reserved_config, FORWARD, "by the 4-tuple: config id 7, which names no config")     \
	X(hash_unknown_config, FORWARD, "by the 4-tuple: no config has this id")                   \
	X(hash_short_dcid, FORWARD, "by the 4-tuple: shorter than its config's CIDs")              \
	X(hash_wrong_length, FORWARD, "by the 4-tuple: the CID contradicts its own length")        \
	X(hash_unknown_server_id, FORWARD,                                                         \
	  "by the 4-tuple: no server of the pool has this server id")

enum lb_reason {
#define X(name, verdict, help) LB_REASON_##name,
	LB_REASONS(X)
#undef X
		LB_REASON_COUNT,
};

/* flow_stats: what became of packets that conn_track did not know. */
#define LB_FLOW_COUNTERS(X)                                                            \
	X(added, "new flows that are remembered")                                      \
	X(cid_added, "connection IDs of servers that are remembered")                  \
	X(over_budget, "not remembered: tracking.budget is used up")                   \
	X(over_share, "not remembered: the VIP's share of tracking.budget is used up") \
	X(full, "not remembered: conn_track is full")                                  \
	X(expired, "met again after their idle time: decided anew")

enum lb_flow_counter {
#define X(name, help) LB_FLOW_COUNT_##name,
	LB_FLOW_COUNTERS(X)
#undef X
		LB_FLOW_COUNT_COUNT,
};

/* stats of the TC programs: each VIP and direction, and each nat server, has all of these. */
#define LB_STACK_COUNTERS(X)                                                                      \
	X(packets, "that came up to the host's stack or left it, those dropped here included")    \
	X(octets, "of them, with Ethernet headers")                                               \
	X(drops, "in: the user-space balancer's ring was full; out: an answer not to be changed") \
	X(redirects,                                                                              \
	  "in: handed to the user-space balancer; out: answers given their VIP's address")

/* decap_stats of the server's decapsulator: one a packet, so they add up too. */
#define LB_DECAP_COUNTERS(X)                                                                   \
	X(not_tunnel, "neither IP in IP nor GUE: left to the host")                            \
	X(stranger, "a tunnel from an address that is no balancer of ours: left to the host")  \
	X(malformed, "a header is cut short, or GUE with fields not known: left to the host")  \
	X(fragment, "a fragment of an encapsulated packet: left to the host")                  \
	X(ecn_drop, "dropped: congestion marked, and the sender does not know ECN (RFC 6040)") \
	X(decapsulated, "the outer headers were taken off")

enum lb_decap_counter {
#define X(name, help) LB_DECAP_##name,
	LB_DECAP_COUNTERS(X)
#undef X
		LB_DECAP_COUNT,
};

#endif
