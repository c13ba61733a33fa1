/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel tells about an interface: rtnetlink, ethtool, and the XDP features of the netdev
 * family where the kernel has it (6.3). Read-only: never changes an interface.
 */
#ifndef SHUNT_NIC_H
#define SHUNT_NIC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reason.h"
#include "tier.h"

/* Bits of NETDEV_A_DEV_XDP_FEATURES. */
#define NIC_FEATURES(X)          \
	X(BASIC, "basic")        \
	X(REDIRECT, "redirect")  \
	X(NDO_XMIT, "ndo-xmit")  \
	X(ZEROCOPY, "zerocopy")  \
	X(OFFLOAD, "hw-offload") \
	X(RX_SG, "rx-sg")        \
	X(NDO_XMIT_SG, "ndo-xmit-sg")

enum nic_feature {
#define X(id, name) NIC_FEATURE_##id,
	NIC_FEATURES(X)
#undef X
		NIC_FEATURE_COUNT,
};

struct nic {
	char name[IFNAMSIZ];
	uint32_t ifindex;
	char kind[16]; /* of a virtual device: "veth", "bond"; may be empty, like the next three */
	char driver[32], bus[32], firmware[32];
	uint32_t mtu;
	uint32_t queues_used, queues_max;
	uint32_t tx_queues;
	bool up, carrier, ethernet;
	bool rx_vlan_offload, lro;
	bool rx_udp_gro; /* datagrams are put together before they reach generic XDP */
	bool features_known;
	uint64_t features; /* bits: enum nic_feature */
	uint32_t program_id[TIER_COUNT]; /* attached in the mode of this tier; 0: nothing */
	char upper[IFNAMSIZ]; /* bond, team or bridge that it belongs to; empty: none */
	uint32_t peer; /* ifindex of a veth's other end; 0: not a veth */
	int32_t peer_namespace; /* its id as seen from here; -1: our own */
};

/* The other end of a veth. */
struct nic_peer {
	char name[IFNAMSIZ];
	uint32_t mtu;
	uint32_t tx_queues; /* from another namespace: as many as it may have at most */
	bool has_driver_program;
	bool offloads_known; /* it is in our own namespace */
	bool tx_udp_segmentation; /* it hands over what a sender has not split yet */
};

struct nic_entry {
	char name[IFNAMSIZ];
	bool ethernet;
};

/* "veth", "nfp"; "" when nobody knows. */
const char *nic_driver(const struct nic *nic);
bool nic_has_feature(const struct nic *nic, enum nic_feature feature);
const char *nic_feature_name(enum nic_feature feature);

/* -ENODEV with REASON_NO_INTERFACE if there is none of that name. */
int nic_read(const char *name, struct nic *nic, struct reason *reason);
/* 0, or -errno where it cannot be seen from here (another namespace, without the right to look). */
int nic_read_peer(const struct nic *nic, struct nic_peer *peer);
/* All of this namespace, by ifindex. *list: free(). */
int nic_list(struct nic_entry **list, size_t *n, struct reason *reason);

#endif
