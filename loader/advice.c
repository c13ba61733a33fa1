/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hints by name and number. See advice.h.
 */
#include "advice.h"

#include <string.h>

/* Of firmware 2.0.6.124, all that was ever shipped: 30 blocks of 64 octets, less 32. */
#define SHIPPED_SPLIT 1888

static void advise_mtu(const struct nic *nic, struct reason *reason)
{
	struct nic_peer peer;

	/* A veth is refused for what its peer has, so that is what the operator has to change. */
	if (nic->peer)
		reason_set_hint(reason, "lower the MTU of %s and of %s to %u or less", nic->name,
				nic_read_peer(nic, &peer) ? "its peer" : peer.name, ADVICE_MTU_MAX);
	else
		reason_set_hint(
			reason,
			"ip link set %s mtu N (now %u): what the driver takes, %u with most",
			nic->name, nic->mtu, ADVICE_MTU_MAX);
}

/* drivers/net/veth.c, veth_xdp_set(): no fewer receive queues than the peer has transmit queues. */
static void advise_veth_queues(const struct nic *nic, struct reason *reason)
{
	struct nic_peer peer;

	if (nic_read_peer(nic, &peer))
		reason_set_hint(reason, "ethtool -L %s rx N, N the transmit queues of its peer",
				nic->name);
	else if (peer.tx_queues <= nic->queues_max)
		reason_set_hint(reason, "ethtool -L %s rx %u", nic->name, peer.tx_queues);
	else
		reason_set_hint(reason, "ethtool -L %s tx %u: %s has no more to receive with",
				peer.name, nic->queues_max, nic->name);
}

/* XDP takes a transmit queue a CPU or a channel of its own, out of the same number. */
static void advise_queues(const struct nic *nic, struct reason *reason)
{
	uint32_t fewer = nic->queues_used > nic->queues_max / 2 ? nic->queues_max / 2 :
								  nic->queues_used / 2;

	if (nic->peer)
		advise_veth_queues(nic, reason);
	else
		reason_set_hint(reason, "ethtool -L %s combined %u (now %u of %u)", nic->name,
				fewer ? fewer : 1, nic->queues_used, nic->queues_max);
}

static void advise_engine(const struct nic *nic, struct reason *reason)
{
	const char *driver = nic_driver(nic);

	if (!strcmp(driver, "nfp_netvf"))
		reason_set_hint(reason, "the engine belongs to the card's physical function");
	else if (!strcmp(driver, "nfp") && !strcasestr(nic->firmware, "bpf"))
		reason_set_hint(
			reason,
			"the firmware (%s) is not the BPF one: link it as "
			"/lib/firmware/netronome/nic_AMDA*.nffw (netronome/bpf/), reload nfp",
			nic->firmware[0] ? nic->firmware : "unknown");
}

/* tier: whose place is taken. */
static void advise_busy(const struct nic *nic, enum tier tier, struct reason *reason)
{
	static const char *const modes[TIER_COUNT] = {
		[TIER_OFFLOAD] = "xdpoffload",
		[TIER_DRIVER] = "xdpdrv",
		[TIER_GENERIC] = "xdpgeneric",
	};

	if (strcasestr(reason->kernel, "live reload"))
		reason_set_hint(
			reason,
			"detach it first: this firmware does not replace a program that runs");
	else if (tier < TIER_USERSPACE && nic->program_id[tier])
		reason_set_hint(reason, "ip link set %s %s off, or loader attach --replace %s",
				nic->name, modes[tier], nic->name);
}

void advise(const struct nic *nic, enum tier tier, struct reason *reason)
{
	switch (reason->code) {
	case REASON_MTU:
		advise_mtu(nic, reason);
		break;
	case REASON_QUEUES:
		advise_queues(nic, reason);
		break;
	case REASON_LRO:
		reason_set_hint(reason, "ethtool -K %s lro off", nic->name);
		break;
	case REASON_RECEIVE_OFFLOADS:
		reason_set_hint(reason, "ethtool -K %s rx-gro-hw off rx off", nic->name);
		break;
	case REASON_PACKET_SPLIT:
		reason_set_hint(reason,
				"ip link set %s mtu N (now %u): %u with firmware 2.0.6, 64 octets "
				"for each block that the card keeps, less 32",
				nic->name, nic->mtu, SHIPPED_SPLIT);
		break;
	case REASON_NO_OFFLOAD_DEVICE:
		advise_engine(nic, reason);
		break;
	case REASON_BUSY_FOREIGN_PROGRAM:
		advise_busy(nic, tier, reason);
		break;
	case REASON_BUSY_OTHER_MODE:
		advise_busy(nic, tier == TIER_DRIVER ? TIER_GENERIC : TIER_DRIVER, reason);
		break;
	case REASON_BUSY_OTHER_TIER:
		reason_set_hint(reason, "loader detach %s first", nic->name);
		break;
	case REASON_BUSY_UPPER_DEVICE:
		if (nic->upper[0])
			reason_set_hint(reason, "loader attach %s: %s belongs to it", nic->upper,
					nic->name);
		break;
	default:
		break;
	}
}
