/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Asks rtnetlink, ethtool and the netdev family about an interface.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nic.h"

/* A link with many attributes does not fit into libmnl's own idea of a buffer. */
#define BUFFER_SIZE 32768

/* linux/netdev.h, which the headers of a distribution older than Linux 6.3 lack. */
#define NETDEV_FAMILY		  "netdev"
#define NETDEV_COMMAND_DEV_GET	  1
#define NETDEV_ATTRIBUTE_IFINDEX  1
#define NETDEV_ATTRIBUTE_FEATURES 3

const char *nic_driver(const struct nic *nic)
{
	return nic->driver[0] ? nic->driver : nic->kind;
}

bool nic_has_feature(const struct nic *nic, enum nic_feature feature)
{
	return nic->features >> feature & 1;
}

const char *nic_feature_name(enum nic_feature feature)
{
	static const char *const names[] = {
#define X(id, name) [NIC_FEATURE_##id] = name,
		NIC_FEATURES(X)
#undef X
	};

	return names[feature];
}

/* Sends one request and hands every reply to callback. */
static int ask(int bus, struct nlmsghdr *request, mnl_cb_t callback, void *context)
{
	struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	char *buffer = malloc(BUFFER_SIZE);
	int error = -ENOMEM, run = MNL_CB_OK;

	if (!socket || !buffer)
		goto out;
	request->nlmsg_seq = 1;
	error = -EIO;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		goto out;
	while (run > MNL_CB_STOP) {
		ssize_t length = mnl_socket_recvfrom(socket, buffer, BUFFER_SIZE);

		if (length < 0)
			run = MNL_CB_ERROR;
		else
			run = mnl_cb_run(buffer, length, 1, mnl_socket_get_portid(socket), callback,
					 context);
	}
	error = run == MNL_CB_ERROR ? -errno : 0;
out:
	free(buffer);
	if (socket)
		mnl_socket_close(socket);
	return error;
}

static void copy_text(char *to, size_t size, const struct nlattr *attribute)
{
	snprintf(to, size, "%s", mnl_attr_get_str(attribute));
}

static int read_xdp(const struct nlattr *attribute, void *context)
{
	struct nic *nic = context;

	switch (mnl_attr_get_type(attribute)) {
	case IFLA_XDP_HW_PROG_ID:
		nic->program_id[TIER_OFFLOAD] = mnl_attr_get_u32(attribute);
		break;
	case IFLA_XDP_DRV_PROG_ID:
		nic->program_id[TIER_DRIVER] = mnl_attr_get_u32(attribute);
		break;
	case IFLA_XDP_SKB_PROG_ID:
		nic->program_id[TIER_GENERIC] = mnl_attr_get_u32(attribute);
		break;
	}
	return MNL_CB_OK;
}

static int read_kind(const struct nlattr *attribute, void *context)
{
	struct nic *nic = context;

	if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND)
		copy_text(nic->kind, sizeof(nic->kind), attribute);
	return MNL_CB_OK;
}

static int read_link_attribute(const struct nlattr *attribute, void *context)
{
	struct nic *nic = context;

	switch (mnl_attr_get_type(attribute)) {
	case IFLA_IFNAME:
		copy_text(nic->name, sizeof(nic->name), attribute);
		break;
	case IFLA_MTU:
		nic->mtu = mnl_attr_get_u32(attribute);
		break;
	case IFLA_NUM_RX_QUEUES:
		nic->queues_used = nic->queues_max = mnl_attr_get_u32(attribute);
		break;
	case IFLA_NUM_TX_QUEUES:
		nic->tx_queues = mnl_attr_get_u32(attribute);
		break;
	case IFLA_MASTER:
		if_indextoname(mnl_attr_get_u32(attribute), nic->upper);
		break;
	case IFLA_CARRIER:
		nic->carrier = mnl_attr_get_u8(attribute);
		break;
	case IFLA_LINK:
		nic->peer = mnl_attr_get_u32(attribute);
		break;
	case IFLA_LINK_NETNSID:
		nic->peer_namespace = (int32_t)mnl_attr_get_u32(attribute);
		break;
	case IFLA_LINKINFO:
		return mnl_attr_parse_nested(attribute, read_kind, nic);
	case IFLA_XDP:
		return mnl_attr_parse_nested(attribute, read_xdp, nic);
	}
	return MNL_CB_OK;
}

static int read_link(const struct nlmsghdr *message, void *context)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);
	struct nic *nic = context;

	*nic = (struct nic){
		.ifindex = (uint32_t)link->ifi_index,
		.up = link->ifi_flags & IFF_UP,
		.ethernet = link->ifi_type == ARPHRD_ETHER,
		.peer_namespace = -1,
	};
	if (mnl_attr_parse(message, sizeof(*link), read_link_attribute, nic) < 0)
		return MNL_CB_ERROR;
	/* For other kinds (VLAN, macvlan) the attribute names the device below. */
	if (strcmp(nic->kind, "veth") != 0)
		nic->peer = 0;
	return MNL_CB_STOP;
}

/* By name, or by ifindex where name is NULL; namespace -1: our own. */
static int ask_link(const char *name, uint32_t ifindex, int32_t namespace, struct nic *nic)
{
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *link;

	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_REQUEST;
	link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	link->ifi_index = (int)ifindex;
	if (name)
		mnl_attr_put_strz(request, IFLA_IFNAME, name);
	if (namespace >= 0)
		mnl_attr_put_u32(request, IFLA_TARGET_NETNSID, (uint32_t) namespace);
	return ask(NETLINK_ROUTE, request, read_link, nic);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static bool ethtool(int fd, const struct nic *nic, void *command)
{
	struct ifreq request = { .ifr_data = command };

	memcpy(request.ifr_name, nic->name, sizeof(request.ifr_name));
	return !ioctl(fd, SIOCETHTOOL, &request);
}

/* Offloads that an ethtool flag of old does not tell: bits without a number outside of the kernel. */
struct offloads {
	uint32_t n;
	struct ethtool_gstrings *names;
	struct ethtool_gfeatures *state;
};

static bool read_offloads(int fd, const struct nic *nic, struct offloads *offloads)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t n;
	} set = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1 << ETH_SS_FEATURES } };
	uint32_t blocks;

	*offloads = (struct offloads){};
	if (!ethtool(fd, nic, &set) || !set.info.sset_mask)
		return false;
	offloads->n = set.n;
	blocks = (set.n + 31) / 32;
	offloads->names = calloc(1, sizeof(*offloads->names) + (size_t)set.n * ETH_GSTRING_LEN);
	offloads->state =
		calloc(1, sizeof(*offloads->state) + blocks * sizeof(offloads->state->features[0]));
	if (!offloads->names || !offloads->state)
		return false;
	offloads->names->cmd = ETHTOOL_GSTRINGS;
	offloads->names->string_set = ETH_SS_FEATURES;
	offloads->names->len = set.n;
	offloads->state->cmd = ETHTOOL_GFEATURES;
	offloads->state->size = blocks;
	return ethtool(fd, nic, offloads->names) && ethtool(fd, nic, offloads->state);
}

static void free_offloads(struct offloads *offloads)
{
	free(offloads->state);
	free(offloads->names);
}

static bool is_on(const struct offloads *offloads, const char *name)
{
	for (uint32_t i = 0; i < offloads->n; i++)
		if (!strncmp((const char *)offloads->names->data + (size_t)i * ETH_GSTRING_LEN,
			     name, ETH_GSTRING_LEN))
			return offloads->state->features[i / 32].active >> i % 32 & 1;
	return false;
}

static int ethtool_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* A kernel without IPv4 still has this one. */
	return fd >= 0 ? fd : socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
}

/* Some drivers fill it up with spaces. */
static void copy_trimmed(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	while (length && from[length - 1] == ' ')
		length--;
	snprintf(to, size, "%.*s", (int)length, from);
}

static void read_ethtool(struct nic *nic)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ethtool_value flags = { .cmd = ETHTOOL_GFLAGS };
	struct offloads offloads;
	int fd = ethtool_socket();

	if (fd < 0)
		return;
	if (ethtool(fd, nic, &driver)) {
		copy_trimmed(nic->driver, sizeof(nic->driver), driver.driver);
		copy_trimmed(nic->bus, sizeof(nic->bus), driver.bus_info);
		copy_trimmed(nic->firmware, sizeof(nic->firmware), driver.fw_version);
	}
	if (ethtool(fd, nic, &channels)) {
		nic->queues_used =
			channels.combined_count + larger(channels.rx_count, channels.tx_count);
		nic->tx_queues = channels.combined_count + channels.tx_count;
		nic->queues_max =
			larger(channels.max_combined, larger(channels.max_rx, channels.max_tx));
	}
	if (ethtool(fd, nic, &flags)) {
		nic->rx_vlan_offload = flags.data & ETH_FLAG_RXVLAN;
		nic->lro = flags.data & ETH_FLAG_LRO;
	}
	if (read_offloads(fd, nic, &offloads))
		nic->rx_udp_gro = is_on(&offloads, "rx-gro") &&
				  (is_on(&offloads, "rx-udp-gro-forwarding") ||
				   is_on(&offloads, "rx-gro-list"));
	free_offloads(&offloads);
	close(fd);
}

static struct nlmsghdr *generic_request(char *buffer, uint16_t family, uint8_t command)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct genlmsghdr *header;

	request->nlmsg_type = family;
	request->nlmsg_flags = NLM_F_REQUEST;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->cmd = command;
	header->version = 1;
	return request;
}

static int read_family_attribute(const struct nlattr *attribute, void *context)
{
	if (mnl_attr_get_type(attribute) == CTRL_ATTR_FAMILY_ID)
		*(uint16_t *)context = mnl_attr_get_u16(attribute);
	return MNL_CB_OK;
}

static int read_family(const struct nlmsghdr *message, void *context)
{
	if (mnl_attr_parse(message, sizeof(struct genlmsghdr), read_family_attribute, context) < 0)
		return MNL_CB_ERROR;
	return MNL_CB_STOP;
}

static int read_features_attribute(const struct nlattr *attribute, void *context)
{
	struct nic *nic = context;

	if (mnl_attr_get_type(attribute) == NETDEV_ATTRIBUTE_FEATURES) {
		nic->features = mnl_attr_get_u64(attribute);
		nic->features_known = true;
	}
	return MNL_CB_OK;
}

static int read_features_message(const struct nlmsghdr *message, void *context)
{
	if (mnl_attr_parse(message, sizeof(struct genlmsghdr), read_features_attribute, context) <
	    0)
		return MNL_CB_ERROR;
	return MNL_CB_STOP;
}

static void read_features(struct nic *nic)
{
	char buffer[256] = {};
	uint16_t family = 0;
	struct nlmsghdr *request = generic_request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);

	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY);
	if (ask(NETLINK_GENERIC, request, read_family, &family) || !family)
		return;
	memset(buffer, 0, sizeof(buffer));
	request = generic_request(buffer, family, NETDEV_COMMAND_DEV_GET);
	mnl_attr_put_u32(request, NETDEV_ATTRIBUTE_IFINDEX, nic->ifindex);
	ask(NETLINK_GENERIC, request, read_features_message, nic);
}

int nic_read(const char *name, struct nic *nic, struct reason *reason)
{
	int error = -ENODEV;

	if (name[0] && strlen(name) < IFNAMSIZ)
		error = ask_link(name, 0, -1, nic);
	if (error == -ENODEV)
		return reason_set(reason, REASON_NO_INTERFACE, "interface", ENODEV, "%s", name);
	if (error)
		return reason_set(reason, REASON_UNKNOWN, "interface", -error, "%s", name);
	read_ethtool(nic);
	read_features(nic);
	return 0;
}

/* ethtool asks about our own namespace only. */
static void read_peer_ethtool(const struct nic *other, struct nic_peer *peer)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct offloads offloads;
	int fd = ethtool_socket();

	if (fd < 0)
		return;
	if (ethtool(fd, other, &channels))
		peer->tx_queues = channels.combined_count + channels.tx_count;
	peer->offloads_known = read_offloads(fd, other, &offloads);
	/* A checksum that the kernel has to fill in makes it split the datagrams as well. */
	if (peer->offloads_known)
		peer->tx_udp_segmentation = is_on(&offloads, "tx-udp-segmentation") &&
					    is_on(&offloads, "tx-checksum-ip-generic");
	free_offloads(&offloads);
	close(fd);
}

int nic_read_peer(const struct nic *nic, struct nic_peer *peer)
{
	struct nic other;
	int error;

	if (!nic->peer)
		return -ENODEV;
	error = ask_link(NULL, nic->peer, nic->peer_namespace, &other);
	if (error)
		return error;
	/* An unanswered question about the namespace gets the link of that number in our own. */
	if (strcmp(other.kind, "veth") != 0 || other.peer != nic->ifindex)
		return -ENODEV;
	*peer = (struct nic_peer){ .mtu = other.mtu,
				   .tx_queues = other.tx_queues,
				   .has_driver_program = other.program_id[TIER_DRIVER] };
	memcpy(peer->name, other.name, sizeof(peer->name));
	if (nic->peer_namespace < 0)
		read_peer_ethtool(&other, peer);
	return 0;
}

struct entries {
	struct nic_entry *list;
	size_t n;
};

static int add_entry(const struct nlmsghdr *message, void *context)
{
	struct entries *entries = context;
	struct nic_entry *grown;
	struct nic nic;

	if (read_link(message, &nic) == MNL_CB_ERROR)
		return MNL_CB_ERROR;
	grown = reallocarray(entries->list, entries->n + 1, sizeof(*grown));
	if (!grown)
		return MNL_CB_ERROR;
	entries->list = grown;
	grown[entries->n] = (struct nic_entry){ .ethernet = nic.ethernet };
	memcpy(grown[entries->n++].name, nic.name, sizeof(nic.name));
	return MNL_CB_OK;
}

int nic_list(struct nic_entry **list, size_t *n, struct reason *reason)
{
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct entries entries = {};
	int error;

	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	error = ask(NETLINK_ROUTE, request, add_entry, &entries);
	if (error) {
		free(entries.list);
		return reason_set(reason, REASON_UNKNOWN, "interface", -error,
				  "list of interfaces");
	}
	*list = entries.list;
	*n = entries.n;
	return 0;
}
