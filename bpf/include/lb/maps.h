/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map of the data path, once. The tier's profile widens counters to one a CPU and adds the
 * redirect map; nothing else differs. The loader sets max_entries before it creates them. Compiled for
 * the host, the same names are tables in memory (lb/maps_host.h).
 */
#ifndef LB_MAPS_H
#define LB_MAPS_H

#include "lb/abi.h"
#include "lb/cipher.h"
#include "lb/counters.h"
#include "lb/profile.h"

#ifndef __bpf__
#include "lb/maps_host.h"
#else
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#if LB_MAY_PERCPU
#define LB_COUNTER_MAP BPF_MAP_TYPE_PERCPU_ARRAY
#else
#define LB_COUNTER_MAP BPF_MAP_TYPE_ARRAY
#endif

#define LB_MAP(name, map_type, value_type, entries) \
	struct {                                    \
		__uint(type, map_type);             \
		__type(key, __u32);                 \
		__type(value, value_type);          \
		__uint(max_entries, entries);       \
	} name SEC(".maps")

LB_MAP(meta_map, BPF_MAP_TYPE_ARRAY, struct lb_meta, 1);
LB_MAP(generation_map, BPF_MAP_TYPE_ARRAY, struct lb_generation, 2);
LB_MAP(vip_map, BPF_MAP_TYPE_ARRAY, struct lb_bucket, 2);

#ifndef LB_VIPS_ONLY
LB_MAP(cid_config_map, BPF_MAP_TYPE_ARRAY, struct lb_cid_config, 2);
LB_MAP(sid_map, BPF_MAP_TYPE_ARRAY, struct lb_bucket, 2);
LB_MAP(row_map, BPF_MAP_TYPE_ARRAY, __u32, 2);
LB_MAP(server_map, BPF_MAP_TYPE_ARRAY, struct lb_server, 2);
LB_MAP(reason_stats, LB_COUNTER_MAP, struct lb_count, 1);
LB_MAP(vip_stats, LB_COUNTER_MAP, struct lb_count, 1);
LB_MAP(server_stats, LB_COUNTER_MAP, struct lb_count, 1);
LB_MAP(cid_stats, LB_COUNTER_MAP, struct lb_count, 1);
#endif

#if LB_MAY_AES
LB_MAP(cid_key_map, BPF_MAP_TYPE_ARRAY, struct lb_cid_key, 2);
LB_MAP(cid_seen_map, BPF_MAP_TYPE_ARRAY, __u64, 1); /* jiffies */
LB_MAP(cid_sample_map, BPF_MAP_TYPE_ARRAY, struct lb_cid_sample, LB_CID_SAMPLES);
LB_MAP(cid_cache_map, BPF_MAP_TYPE_PERCPU_ARRAY, struct lb_cid_cache_page, 1);
LB_MAP(cid_cache_state, BPF_MAP_TYPE_PERCPU_ARRAY, struct lb_cid_cache_state, 1);

static __always_inline const struct lb_cid_key *lb_cid_key(__u32 index)
{
	return bpf_map_lookup_elem(&cid_key_map, &index);
}

/* QUIC packets are longer, for 16 octets of each authenticate it: one comparison for all five words. */
static __noinline void lb_cid_sample(__u32 index, __u32 tag, __u32 tick, const __u32 *cid,
				     const void *end)
{
	__u32 slot = tick & (LB_CID_SAMPLES - 1);
	struct lb_cid_sample *sample = bpf_map_lookup_elem(&cid_sample_map, &slot);

	if (!sample || cid + LB_CID_WORDS > (const __u32 *)end)
		return;
	sample->config = index;
	sample->tag = tag;
	sample->tick = tick;
	for (int i = 0; i < LB_CID_WORDS; i++)
		sample->cid[i] = cid[i];
}

/*
 * When a config last routed a packet: one store a tick, shared by all CPUs, for only its age counts,
 * and bpf_jiffies64() costs nothing. config: LB_CID_INDEX(). An encrypted CID is a sample then, too.
 */
static __always_inline void lb_cid_seen(__u32 index, const struct lb_cid_config *config,
					const void *cid, const void *end)
{
	__u64 *seen = bpf_map_lookup_elem(&cid_seen_map, &index);
	__u64 now = bpf_jiffies64();

	if (!seen || *seen == now)
		return;
	*seen = now;
	if (config->algorithm != LB_CID_CLEAR)
		lb_cid_sample(index, config->tag, (__u32)now, cid, end);
}

static __always_inline __u32 lb_known_server(const struct lb_conn_key *key)
{
	(void)key;
	return 0;
}
#else
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct lb_conn_key);
	__type(value, struct lb_conn);
	__uint(max_entries, 2);
} conn_map SEC(".maps");

/* The server's number, 0: nobody has told us of this CID. */
static __always_inline __u32 lb_known_server(const struct lb_conn_key *key)
{
	struct lb_conn *conn = bpf_map_lookup_elem(&conn_map, key);

	if (!conn)
		return 0;
	__sync_fetch_and_add(&conn->packets, 1);
	return conn->server;
}

static __always_inline const struct lb_cid_key *lb_cid_key(__u32 index)
{
	(void)index;
	return 0;
}

static __always_inline void lb_cid_seen(__u32 index, const struct lb_cid_config *config,
					const void *cid, const void *end)
{
	(void)index;
	(void)config;
	(void)cid;
	(void)end;
}
#endif

#if LB_MAY_TRACK
LB_MAP(setting_map, BPF_MAP_TYPE_ARRAY, struct lb_setting, 2);
LB_MAP(address_map, BPF_MAP_TYPE_ARRAY, struct lb_bucket, 2);
LB_MAP(vip_address_map, BPF_MAP_TYPE_ARRAY, struct lb_vip, 2);

#ifndef LB_VIPS_ONLY
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct lb_flow_key);
	__type(value, struct lb_flow);
	__uint(max_entries, 2);
} conn_track SEC(".maps");

LB_MAP(flow_recent_map, BPF_MAP_TYPE_ARRAY, struct lb_recent, 1);
LB_MAP(flow_budget_map, BPF_MAP_TYPE_PERCPU_ARRAY, struct lb_flow_budget, 1);
LB_MAP(flow_stats, BPF_MAP_TYPE_PERCPU_ARRAY, struct lb_count, LB_FLOW_COUNT_COUNT);
#endif
#endif

#if LB_MAY_REDIRECT
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__type(key, __u32); /* ifindex */
	__type(value, __u32);
	__uint(max_entries, LB_MAX_EGRESS);
} egress_map SEC(".maps");

/* XDP_REDIRECT, or XDP_ABORTED if the device is not (or no longer) in the map. */
static __always_inline int lb_redirect(__u32 ifindex)
{
	return bpf_redirect_map(&egress_map, ifindex, XDP_ABORTED);
}
#else
static __always_inline int lb_redirect(__u32 ifindex)
{
	(void)ifindex;
	return XDP_ABORTED;
}
#endif

/* A card counts atomically and may not store into a value; on the host each CPU has its own. */
static LB_SUB void lb_count(void *map, __u32 key, __u32 octets)
{
	struct lb_count *count = bpf_map_lookup_elem(map, &key);

	if (!count)
		return;
	if (LB_MAY_PERCPU) {
		count->packets++;
		count->octets += octets;
	} else {
		__sync_fetch_and_add(&count->packets, 1);
		/* What it knows to have 16 bits, a card adds with half the instructions. */
		__sync_fetch_and_add(&count->octets, octets & 0xffff);
	}
}

#endif /* __bpf__ */
#endif
