/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an operator should know beside the verdicts: what would make a usable tier lose packets.
 */
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>

#include "probe.h"

#define BPFFS "/sys/fs/bpf"

__attribute__((format(printf, 3, 4))) static struct probe_warning *
fill(struct probe_warning *warning, const char *code, const char *format, ...)
{
	va_list arguments;

	warning->code = code;
	va_start(arguments, format);
	vsnprintf(warning->text, sizeof(warning->text), format, arguments);
	va_end(arguments);
	return warning;
}

#define warn(probe, ...) fill(&(probe)->warnings[(probe)->n_warnings++], __VA_ARGS__)

__attribute__((format(printf, 2, 3))) static void hint(struct probe_warning *warning,
						       const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(warning->hint, sizeof(warning->hint), format, arguments);
	va_end(arguments);
}

static void warn_of_peer(struct probe *probe)
{
	struct nic_peer peer = {};
	int error = nic_read_peer(&probe->nic, &peer);
	const char *name = error ? "PEER" : peer.name;

	if (!error && peer.has_driver_program)
		return;
	hint(warn(probe, "veth-peer",
		  error ? "the peer of this veth cannot be seen from here: without an XDP "
			  "program there, what the driver tier sends back on it is lost" :
			  "the peer of this veth has no XDP program: what the driver tier sends "
			  "back on it is lost"),
	     "attach one that passes: make build/bpf/pass.bpf.o (in shunt's source), then ip link set "
	     "%s xdpdrv obj build/bpf/pass.bpf.o sec xdp",
	     name);
}

/*
 * Native XDP on a veth, once it is attached, makes the peer's kernel split what a sender leaves to
 * be segmented; generic XDP does not, and meets the whole of it as one packet.
 */
static size_t warn_of_segments(const struct nic *nic, struct probe_warning *warning)
{
	struct nic_peer peer = {};
	bool seen = !nic_read_peer(nic, &peer), known = seen && peer.offloads_known;

	if (known && !peer.tx_udp_segmentation)
		return 0;
	fill(warning, "udp-segmentation",
	     known ? "%s has tx-udp-segmentation on: the generic tier takes datagrams that are "
		     "sent in one go for one large packet" :
		     "%s, out of sight from here, may have tx-udp-segmentation on: the generic "
		     "tier would take datagrams that are sent in one go for one large packet",
	     seen ? peer.name : "the peer of this veth");
	hint(warning, "%sethtool -K %s tx-udp-segmentation off",
	     known ? "" : "on its side: ", seen ? peer.name : "PEER");
	return 1;
}

/* LRO and rx-gro-hw are no matter: the kernel turns them off with the first generic program. */
size_t probe_warn_generic(const struct nic *nic, struct probe_warning *warnings)
{
	size_t n = 0;

	if (nic->rx_udp_gro)
		hint(fill(&warnings[n++], "udp-gro",
			  "GRO of UDP is on: the generic tier takes datagrams that arrive "
			  "together for one large packet"),
		     "ethtool -K %s rx-udp-gro-forwarding off rx-gro-list off", nic->name);
	if (nic->peer)
		n += warn_of_segments(nic, &warnings[n]);
	return n;
}

static void warn_of_tunnel(struct probe *probe, const char *mode)
{
	bool gue = !strcmp(mode, "gue");
	uint32_t more = gue ? LB_GUE_LENGTH : 0;

	if (probe->nic.mtu < 1500 + 40 + more)
		hint(warn(probe, gue ? "mtu-gue" : "mtu-ipip",
			  "%s adds %u octets (IPv4) or %u (IPv6): full packets of 1500 do not "
			  "leave by an MTU of %u",
			  mode, 20 + more, 40 + more, probe->nic.mtu),
		     "raise the MTU on the way to the servers to %u, or use l2dsr", 1540 + more);
}

void probe_warn(struct probe *probe, const struct probe_options *options)
{
	const struct nic *nic = &probe->nic;
	struct statfs fs;

	if (!nic->ethernet && strcmp(nic->name, "lo") != 0)
		hint(warn(probe, "not-ethernet", "not an Ethernet device: shunt reads Ethernet"),
		     "use the interface below it");
	if (nic->rx_vlan_offload)
		hint(warn(probe, "rx-vlan-offload",
			  "rx-vlan-offload is on: XDP does not see VLAN tags"),
		     "ethtool -K %s rx-vlan-offload off", nic->name);
	if (nic->peer && probe->tiers[TIER_DRIVER].usable != PROBE_NO)
		warn_of_peer(probe);
	if (probe_chooses(probe, TIER_GENERIC))
		probe->n_warnings += probe_warn_generic(nic, &probe->warnings[probe->n_warnings]);
	if (options->keyed[0] && probe->tiers[TIER_OFFLOAD].usable == PROBE_YES)
		hint(warn(probe, "needs-cid-key",
			  "encrypted CID configs (%s): the card has no key, so it passes their "
			  "packets to the host tier",
			  options->keyed),
		     "attach a host tier below the card, as loader attach %s does", nic->name);
	if (options->tunnel)
		warn_of_tunnel(probe, options->tunnel);
	if (statfs(BPFFS, &fs) || fs.f_type != BPF_FS_MAGIC)
		hint(warn(probe, reason_code_name(REASON_NO_BPFFS),
			  "no BPF file system at " BPFFS ": attach needs one"),
		     "mount -t bpf bpf " BPFFS);
}
