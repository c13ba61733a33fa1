/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the BPF programs, the loader and the tests share: map names, keys, values and limits.
 *
 * Every map that an XDP tier reads has the same name, key and value in all three tiers, shaped by
 * what a card takes (nfp's verifier): ARRAY or HASH, value at most 56 octets and key plus value at
 * most 64, a 32-bit word of a value is either data or a counter, and index 0 means "unset" wherever a
 * number names something. A change of anything here is a change of LB_ABI,
 * from the first release on; before it, of LB_MAGIC.
 *
 * Two generations. Everything a packet's route depends on exists twice: user space writes the half
 * that no packet reads, then turns one word, meta_map[0].active. A packet reads that word once.
 *
 * Addresses, ports and server ids are octets in network order, held in 32-bit words as they lie in
 * the packet. Numbers (indices, lengths, masks) are in host order.
 */
#ifndef LB_ABI_H
#define LB_ABI_H

#include <linux/types.h>

#define LB_ABI	   1
#define LB_ABI_DIR "abi1"
#define LB_MAGIC   0x35746e73u /* "snt5", read as octets: neither 0 nor a small number */

/* BPF object names hold at most 15 characters. */
#define LB_MAP_META	    "meta_map"
#define LB_MAP_GENERATION   "generation_map"
#define LB_MAP_VIP	    "vip_map"
#define LB_MAP_CID_CONFIG   "cid_config_map"
#define LB_MAP_SID	    "sid_map"
#define LB_MAP_ROW	    "row_map"
#define LB_MAP_SERVER	    "server_map"
#define LB_MAP_REASON_STATS "reason_stats"
#define LB_MAP_VIP_STATS    "vip_stats"
#define LB_MAP_SERVER_STATS "server_stats"
#define LB_MAP_CID_STATS    "cid_stats"
#define LB_MAP_CONN	    "conn_map" /* offload: encrypted CIDs that user space has decoded */
#define LB_MAP_EGRESS	    "egress_map" /* host tiers: devices to redirect to */
#define LB_MAP_CID_KEY	    "cid_key_map" /* host tiers: what decoding takes */
#define LB_MAP_CID_SEEN	    "cid_seen_map" /* host tiers: when a config last routed a packet */
#define LB_MAP_CID_SAMPLE   "cid_sample_map" /* host tiers: encrypted CIDs, one a tick */
#define LB_MAP_CID_CACHE    "cid_cache_map" /* host tiers: encrypted CIDs decoded lately, a CPU */
#define LB_MAP_CACHE_STATE  "cid_cache_state" /* host tiers: whether that is worth asking, a CPU */
#define LB_MAP_SETTING	    "setting_map" /* host only: what is rarely asked, a generation */
#define LB_MAP_ADDRESS	    "address_map" /* host only: VIPs' addresses alone, and nat servers' */
#define LB_MAP_VIP_ADDRESS  "vip_address_map" /* host only: a VIP by its number */
#define LB_MAP_CONN_TRACK   "conn_track" /* host only: flows that no connection ID decides */
#define LB_MAP_FLOW_RECENT  "flow_recent_map" /* host only: which of them cannot be there */
#define LB_MAP_FLOW_BUDGET  "flow_budget_map" /* host only: how many may yet be added */
#define LB_MAP_FLOW_STATS   "flow_stats" /* host only: what became of those that were new */
#define LB_MAP_TEXT	    "text_map" /* host only: the applied file, for the loader */
#define LB_MAP_STACK_STATS  "stats" /* TC */
#define LB_MAP_HAND	    "hand_map" /* TC: packets handed to the user-space balancer */
#define LB_MAP_PEER	    "peer_map" /* decapsulator: balancers it believes */
#define LB_MAP_DECAP	    "decap_map" /* decapsulator: struct lb_decap */
#define LB_MAP_DECAP_STATS  "decap_stats"

#define LB_PROG_OFFLOAD "shunt_offload"
#define LB_PROG_DRIVER	"shunt_driver"
#define LB_PROG_GENERIC "shunt_generic"
#define LB_PROG_INGRESS "shunt_stack" /* TC ingress */
#define LB_PROG_EGRESS	"shunt_return" /* TC egress */
#define LB_PROG_DECAP	"shunt_decap"

/* draft-ietf-quic-load-balancers sections 3.1 and 5: three bits name the config, 7 names none. */
#define LB_CONFIG_IDS	   7
#define LB_CONFIG_RESERVED 7
#define LB_SERVER_ID_MIN   1
#define LB_SERVER_ID_MAX   15
#define LB_NONCE_MIN	   4
#define LB_NONCE_MAX	   18
#define LB_BODY_MAX	   19 /* server id and nonce together: a CID of QUIC v1 has 20 octets */
#define LB_CID_MAX	   20
#define LB_CID_WORDS	   5

#define LB_SLOTS     2 /* slots a bucket: two of 24 octets are what a card's entry holds */
#define LB_KEY_WORDS 5

/* What the maps hold when the file says nothing; the loader sets max_entries from its limits. */
#define LB_DEFAULT_SERVERS    1023
#define LB_DEFAULT_SERVER_IDS 4096
#define LB_DEFAULT_VIPS	      64
#define LB_DEFAULT_POOLS      16
#define LB_DEFAULT_ROWS	      4096
#define LB_DEFAULT_KNOWN_CIDS 16384
#define LB_DEFAULT_FLOWS      1000000
#define LB_DEFAULT_CACHED     8192 /* CIDs a CPU: 256 KiB, a part of its own cache */
#define LB_MAX_SERVERS	      65535
#define LB_MAX_VIPS	      4095
#define LB_MAX_POOLS	      4095
#define LB_MAX_ROWS	      65536
#define LB_MAX_KNOWN_CIDS     1048576
#define LB_MAX_FLOWS	      16777216
#define LB_MAX_CACHED	      65536
#define LB_CID_SAMPLES	      1024 /* a power of two */
#define LB_MAX_EGRESS	      1024 /* devices that servers are reached through, of two generations */

/* meta_map[0]. A zeroed entry (no magic) is a map that nobody has filled yet. */
struct lb_meta {
	__u32 magic;
	__u32 abi;
	__u32 active; /* which entry of generation_map packets use: 0 or 1 */
	__u32 pad;
};

/*
 * generation_map[0..1]: where one generation's tables begin, and their sizes. The sizes are part of
 * the generation, so that a file with another number of rows needs no new maps.
 */
struct lb_generation {
	__u32 vip_base; /* first bucket in vip_map */
	__u32 vip_mask; /* buckets - 1 */
	__u32 sid_base; /* first bucket in sid_map */
	__u32 sid_mask; /* buckets - 1 */
	__u32 number; /* counts applies, from 1; 0: unset */
	__u32 row_base; /* first row in row_map of pool 0 */
	__u32 row_mask; /* rows of a pool - 1 */
	__u32 server_base; /* server_map entry of server 0, which stays unset */
	__u32 config_base; /* cid_config_map entry of LB_CID_INDEX(0, 0) */
	__u32 half; /* which of the two it is: setting_map's entry */
	__u32 cache_pages; /* of cid_cache_map that count, a power of two; 0: it is not asked */
	__u32 pad;
} __attribute__((aligned(8))); /* base and mask are read together */

/*
 * vip_map and sid_map: exact match in two buckets of two slots (cuckoo hashing, lb/table.h), filled
 * by user space. An ARRAY read by index costs a fraction of a BPF hash map's look-up and is the same
 * on a card.
 */
struct lb_slot {
	__u32 key[LB_KEY_WORDS];
	__u32 value; /* 0: empty */
} __attribute__((aligned(8)));

struct lb_bucket {
	struct lb_slot slot[LB_SLOTS];
};

/*
 * vip_map's key:   address (IPv4 in word 0, the rest zero), then LB_VIP_KEY(version, port).
 * vip_map's value: LB_VIP_VALUE(vip number, pool number), both from 1.
 */
#define LB_VIP_KEY(ip_version, port_be) ((__u32)(ip_version) << 16 | (__u16)(port_be))
#define LB_VIP_VALUE(vip, pool)		((__u32)(pool) << 16 | (__u32)(vip))
#define LB_VIP_NUMBER(value)		((value)&0xffff)
#define LB_VIP_POOL(value)		((value) >> 16)

/*
 * setting_map[generation's half], on the host: what only packets ask that no connection ID decides.
 */
struct lb_setting {
	__u32 address_base; /* first bucket in address_map */
	__u32 address_mask; /* buckets - 1 */
	__u32 vip_base; /* vip_address_map entry of VIP 0, which stays unset */
	__u32 has_nat; /* some server's mode is nat, so answers may come by */
	__u32 flow_mask; /* slots in flow_recent_map - 1; 0: flows are not remembered */
	__u32 flow_inserts; /* new flows that a CPU may remember in a second */
	__u32 vip_inserts; /* of those, for one VIP */
	__u32 handshake_ticks; /* jiffies without a packet after which a flow is forgotten, that ... */
	__u32 established_ticks; /* ... has not, or has, sent a short header */
	__u32 answers; /* ICMP answers that a CPU may send in a second */
	__u32 stack_servers; /* stats entry of server 0, which stays unset */
	__u32 second_ticks; /* jiffies in a second */
	/* flow_recent_map's unit; the longest that it tells of, in units; and since when it does, in jiffies. */
	__u32 recent_shift, recent_life, recent_since;
	/*
	 * For how many new flows a second conn_track has room, a CPU, as user space counted; and until when that
	 * counts, in jiffies: where nobody counts, it is the LRU's to make room.
	 */
	__u32 room, room_until;
	/* Of the interface that packets come in by; a longer one is several that were not cut yet. 0: not known. */
	__u32 ingress_mtu;
} __attribute__((aligned(8))); /* base and mask are read together */

/*
 * address_map, filled and read like vip_map. A VIP's address alone, for what has no port at hand:
 *   key: address, then LB_ADDRESS_KEY(version); value: 1.
 * A server of mode nat, which answers from there:
 *   key: address, then LB_VIP_KEY(version, port); value: LB_NAT_VALUE(vip number, server number).
 */
#define LB_ADDRESS_KEY(ip_version) ((__u32)(ip_version) << 16 | 1u << 31)
#define LB_NAT_VALUE(vip, server)  ((__u32)(vip) << 16 | (__u32)(server))
#define LB_NAT_VIP(value)	   ((value) >> 16)
#define LB_NAT_SERVER(value)	   ((value)&0xffff)

/* vip_address_map[setting's base + VIP number]: where a VIP is, for answers that come from there. */
struct lb_vip {
	__u32 address[4]; /* IPv4 in word 0 */
	__u16 port; /* network order */
	__u16 ip_version; /* 4 or 6; 0: unset */
};

/*
 * sid_map's key:   server id padded with zeros to four words, then LB_SID_KEY(pool, config id).
 * sid_map's value: server number. A server id counts only within the pool of the VIP.
 */
#define LB_SID_KEY(pool, config_id) ((__u32)(pool) << 8 | (__u32)(config_id))

enum lb_algorithm {
	LB_CID_UNSET = 0,
	LB_CID_CLEAR = 1,
	LB_CID_SINGLE_PASS = 2, /* with a key, server id and nonce of 16 octets together */
	LB_CID_FOUR_PASS = 3, /* with a key, any other length */
};

/*
 * Where a config stands in cid_config_map and cid_key_map (from the generation's base), cid_stats and
 * cid_seen_map: each pool, from 1, has its own seven, so that two tenants may have two keys. There is no
 * pool 0: cid_seen_map[0] is when user space last looked whether a card above routed by them.
 */
#define LB_CID_INDEX(pool, config_id) ((__u32)(pool) << 3 | (__u32)(config_id))

/* What a CID's first octet says of its length (draft section 4.1), if the operator lets it count. */
enum lb_length_check {
	LB_LENGTH_UNCHECKED = 0,
	LB_LENGTH_AT_LEAST = 1, /* no less than server id and nonce */
	LB_LENGTH_EQUAL = 2, /* and in a long header exactly the DCID's length less one */
};

/* cid_config_map[generation's base + LB_CID_INDEX()] */
struct lb_cid_config {
	__u8 algorithm; /* enum lb_algorithm */
	__u8 server_id_length;
	__u8 nonce_length;
	__u8 length_check; /* enum lb_length_check */
	__u32 mask[4]; /* all ones over the server id's octets, from the CID's second octet on */
	/*
	 * A number for this config, its key and what its server ids stand for: with another file it is
	 * another one, and then nothing that conn_map was told before matches any more.
	 */
	__u32 tag;
	/*
	 * What is compared without a key: of a clear config the same as mask; of an encrypted one the whole
	 * CID, all ones over first octet, server id and nonce.
	 */
	__u32 match[LB_CID_WORDS];
	__u8 cid_length; /* 1 + server_id_length + nonce_length */
	__u8 least_described; /* 0: unchecked, else cid_length - 1 */
	__u8 pad[2];
} __attribute__((aligned(8)));

/*
 * conn_map, the only HASH: encrypted CIDs and the servers they name, for a card cannot decode them. One
 * that does not match is passed. Written by user space only, each entry by itself: a CID means the same
 * in both generations, or its config has another tag in one of them.
 */
struct lb_conn_key {
	__u32 cid[LB_CID_WORDS]; /* under match of lb_cid_config */
	__u32 config; /* LB_CID_INDEX() */
	__u32 tag; /* of lb_cid_config */
};

struct lb_conn {
	__u32 server; /* number */
	__u32 pad;
	__u64 packets; /* counter; a card may have written it, so user space starts it at 0 */
};

/*
 * cid_sample_map, at jiffies & (LB_CID_SAMPLES - 1): the first routed packet of an encrypted config in
 * a tick. A busy CID is met in proportion to its packets. Several CPUs may write one entry at once:
 * whoever reads it decodes the CID again.
 */
struct lb_cid_sample {
	__u32 config; /* LB_CID_INDEX() */
	__u32 tag;
	__u32 tick; /* jiffies, their lower half; config 0: nothing yet */
	__u32 cid[LB_CID_WORDS]; /* as it lay in the packet; octets behind the CID are the packet's */
};

/*
 * cid_cache_map, on the host: of each CPU's own. Pages of sets of two, for a value is one allocation a CPU of at most
 * 32 KiB. An entry counts for the generation and the config that it was made under, and for none after.
 */
#define LB_CACHE_WAYS	   2
#define LB_CACHE_PAGE_SETS 256

struct lb_cached_cid {
	__u64 cid[2]; /* under match of lb_cid_config, as is last */
	__u32 last;
	__u32 server; /* number; 0: empty */
	__u32 number; /* of the generation */
	__u32 config; /* LB_CID_INDEX() */
} __attribute__((aligned(8)));

struct lb_cid_cache_page {
	struct lb_cached_cid set[LB_CACHE_PAGE_SETS][LB_CACHE_WAYS];
};
#define LB_CACHE_PAGE_CIDS (LB_CACHE_PAGE_SETS * LB_CACHE_WAYS)

/* cid_cache_state[0]: what asking has brought in this window of jiffies. */
#define LB_CACHE_WINDOW_SHIFT 2 /* four jiffies: 4 to 40 ms */
#define LB_CACHE_TRY_WINDOWS  8 /* a power of two: how often one is tried all the same */
#define LB_CACHE_WORTH	      4 /* one of so many must be found */

struct lb_cid_cache_state {
	__u32 window; /* jiffies >> LB_CACHE_WINDOW_SHIFT, their lower half */
	__u32 rests; /* this CPU does not ask in it */
	__u32 found, missed; /* packets */
	__u32 poor; /* the last window that was asked in found too few */
	__u32 pad;
	__u64 all_found, all_missed; /* in the windows before */
};

/* UDP port of GUE (IANA), and its octets behind the outer IP header: UDP's eight, four of its own. */
#define LB_GUE_PORT   6080
#define LB_GUE_LENGTH 12

enum lb_mode {
	LB_MODE_UNSET = 0,
	LB_MODE_L2DSR = 1, /* the frame, with other MAC addresses */
	LB_MODE_IPIP4 = 2, /* in an IPv4 header */
	LB_MODE_IPIP6 = 3, /* in an IPv6 header */
	LB_MODE_GUE4 = 4, /* in IPv4, UDP and GUE headers; host tiers only */
	LB_MODE_GUE6 = 5, /* in IPv6, UDP and GUE headers; host tiers only */
	LB_MODE_NAT4 = 6, /* to the server's address and port; host tiers only */
	LB_MODE_NAT6 = 7,
};

/* In outer_length of lb_server: nothing is put in front, but addresses change. */
#define LB_OUTER_MASK 63
#define LB_OUTER_NAT  64

/* server_map[generation's base + server number]. Unset when nobody knows the way there. */
struct lb_server {
	__u8 destination_mac[6]; /* of the next hop */
	__u8 source_mac[6]; /* of the egress interface */
	__u32 egress; /* ifindex to redirect to; 0: transmit on the interface it came in */
	__u32 destination[4]; /* of the outer header; of nat: the server; IPv4 in word 0 */
	__u32 source[4];
	__u8 mode; /* enum lb_mode */
	__u8 outer_length; /* of all that the mode puts in front: 0, 20, 40, 32 or 52; or LB_OUTER_NAT */
	/*
	 * What a checksum of every packet has in common, as a one's complement sum, not inverted. IPv4's: the
	 * addresses and DF; UDP's of LB_MODE_GUE6: the addresses, UDP's number and the port; of nat: destination.
	 */
	__u16 checksum;
	__u16 port; /* network order. gue: that the server takes GUE at; nat: the server's, 0: the VIP's */
	__u16 mtu; /* octets that an IP packet may have on the way there, outer headers included */
} __attribute__((aligned(8)));

/*
 * conn_track: which server a flow without a routable connection ID went to, so that it stays there when the
 * pool changes. Read and written by the host's XDP tiers, TC and user space. LRU_HASH, which only counts
 * when everything else has failed: what is new has a budget, and what is old is swept by user space.
 */
enum lb_flow_kind {
	LB_FLOW_TUPLE = 1, /* word 0 to 3: client's address, IPv4 in word 0; word 4: its port */
	LB_FLOW_SCID = 2, /* the same, and a hash of a long header's SCID in the half of word 4 */
	LB_FLOW_DCID = 3, /* word 0 and 1: the first octets of a server's connection ID */
};
#define LB_FLOW_CID_OCTETS \
	8 /* of a DCID that are compared; servers with shorter ones are not found by it */
#define LB_FLOW_PORT(port_be, scid) ((__u32)(__u16)(port_be) | (__u32)(scid) << 16)
#define LB_FLOW_OF(kind, vip, version) \
	((__u32)(vip) | (__u32)(version) << 16 | (__u32)(kind) << 24) /* vip: number */

struct lb_flow_key {
	__u32 word[5];
	__u32 of; /* LB_FLOW_OF(); version 0 for LB_FLOW_DCID */
};

enum lb_flow_flag {
	LB_FLOW_LONG_CID = 1, /* its server's connection IDs have LB_FLOW_CID_OCTETS or more */
	LB_FLOW_ESTABLISHED = 2, /* it has sent a short header */
};

struct lb_flow {
	__u32 server; /* number */
	__u32 born, seen; /* jiffies, their lower half: first and last packet */
	__u32 packets; /* about: several CPUs may count at once */
	__u32 cid[2]; /* DCID that it last used, as far as compared; 0: none yet. A server's if LONG_CID */
	__u32 scid; /* hash of the SCID of its long headers */
	__u32 flags; /* enum lb_flow_flag */
};

/*
 * flow_recent_map: which flows may be there and not be expired; see lb/recent.h. Where none is, conn_track need not
 * be asked.
 */
#define LB_RECENT_WORD	4 /* slots in one */
#define LB_RECENT_SLOTS (8 * LB_RECENT_WORD)
struct lb_recent {
	/* Four slots each: a tag in the lower octet, 0: none; in the upper one until when, jiffies >> recent_shift. */
	__u64 words[LB_RECENT_SLOTS / LB_RECENT_WORD];
};

/* flow_budget_map[VIP number], 0: of all; one a CPU. */
struct lb_flow_budget {
	__u32 second; /* jiffies when it began */
	__u32 used;
	__u32 answers; /* ICMP answers in a second of their own; entry 0 alone */
	__u32 answer_second; /* which one, since the machine was started */
};

/*
 * What a packet in hand_map's ring begins with; its octets from the Ethernet header on follow. A UDP
 * checksum may be the pseudo header's alone, as one that a device of this host would have completed.
 */
#define LB_HANDED_MOST 65408 /* of a frame: a sample's length has 16 bits */
struct lb_handed {
	__u32 length; /* of the frame, of which `captured` octets follow */
	__u32 captured;
	__u32 ifindex; /* where it came in */
	__u32 gso_size; /* payload of each datagram, where one skb holds several; else 0 */
	__u32 vlan; /* the outermost tag, which is not in the frame: EtherType << 16 | TCI; 0: none */
};

/*
 * stats of the TC programs, by LB_STACK_VIP(): all that the host's stack gets (ingress) or sends (egress)
 * for, or from, one VIP, 0: none of them. From setting's stack_servers on: answers of nat servers put
 * right at egress, by server number.
 */
enum lb_direction {
	LB_INGRESS = 0,
	LB_EGRESS = 1,
};
#define LB_STACK_VIP(direction, vip) ((__u32)(vip) << 1 | (direction))

struct lb_stack_count { /* counters.h has what each means */
	__u64 packets;
	__u64 octets;
	__u64 drops;
	__u64 redirects;
};

/* Every counter of XDP. Counter maps are ARRAY on a card and PERCPU_ARRAY on the host. */
struct lb_count {
	__u64 packets;
	__u64 octets; /* whole frames, as they came in */
};

/* text_map: the applied file as loader/applied.h has it, cut in pieces; key {generation 0|1, piece}. */
#define LB_TEXT_PIECE 4096
struct lb_text_key {
	__u32 generation;
	__u32 piece;
};

/* peer_map of the decapsulator: an outer source address it believes, IPv4 in word 0. */
struct lb_peer {
	__u32 ip_version;
	__u32 address[4];
};

/* decap_map[0] of the decapsulator. */
struct lb_decap {
	__u16 gue_port; /* network order; 0: takes no GUE off */
	__u16 pad;
};

#define LB_ASSERT_ENTRY(key, value)                                                             \
	_Static_assert(sizeof(value) <= 56 &&                                                   \
			       ((sizeof(key) + 7) & ~7ul) + ((sizeof(value) + 7) & ~7ul) <= 64, \
		       #value " does not fit a card's map entry")

LB_ASSERT_ENTRY(__u32, struct lb_meta);
LB_ASSERT_ENTRY(__u32, struct lb_generation);
LB_ASSERT_ENTRY(__u32, struct lb_bucket);
LB_ASSERT_ENTRY(__u32, struct lb_cid_config);
LB_ASSERT_ENTRY(__u32, struct lb_server);
LB_ASSERT_ENTRY(__u32, struct lb_count);
LB_ASSERT_ENTRY(struct lb_conn_key, struct lb_conn);

#endif
