/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A network namespace of the bench's own, which the kernel takes away with the process however it ends.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "veth/veth.h"

static int net_reason(struct reason *reason, int error, const char *what)
{
	return reason_set(reason, REASON_UNKNOWN, "net", error, "%s", what);
}

/* It may not be there: a kernel without IPv6. */
static void set(const char *name, const char *value)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	file = fopen(path, "we");
	if (!file)
		return;
	fputs(value, file);
	fclose(file);
}

int net_open(struct reason *reason)
{
	if (unshare(CLONE_NEWNET))
		return net_reason(reason, errno, "a network namespace");
	/* Before there are devices, which take over what stands there by then. */
	set("ipv6/conf/default/disable_ipv6", "1");
	set("ipv4/conf/all/rp_filter", "0");
	set("ipv4/conf/default/rp_filter", "0");
	set("ipv4/conf/all/send_redirects", "0");
	set("ipv4/conf/default/send_redirects", "0");
	set("ipv4/ip_forward", "1");
	return 0;
}

int net_command(const char *command, const char *input)
{
	FILE *pipe = popen(command, "we");
	int status;

	if (!pipe)
		return -errno;
	fputs(input, pipe);
	status = pclose(pipe);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return status ? -EIO : 0;
}

/* Without a program at the receiving end, a veth takes XDP frames only in NAPI, which GRO turns on. */
static int turn_gro_on(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_SGRO, .data = 1 };
	struct ifreq request = { .ifr_data = (char *)&value };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCETHTOOL, &request))
		error = -errno;
	close(fd);
	return error;
}

int net_make_pair(uint32_t number, struct net_pair *pair, struct reason *reason)
{
	char near[16], far[16], script[768];
	int error;

	snprintf(near, sizeof(near), "near%u", number);
	snprintf(far, sizeof(far), "far%u", number);
	snprintf(script, sizeof(script),
		 "link add %s address 02:00:00:00:00:02 type veth peer name %s "
		 "address 02:00:00:00:00:01\n"
		 "link set %s up\n"
		 "link set %s up\n",
		 near, far, near, far);
	/* The VIP and the servers behind a neighbour that nobody has to be asked for. */
	if (!number)
		snprintf(script + strlen(script), sizeof(script) - strlen(script),
			 "addr add 10.9.9.1/24 dev %s\n"
			 "neigh replace 10.9.9.2 lladdr 02:00:00:00:00:02 dev %s\n"
			 "route add 192.0.2.0/24 via 10.9.9.2 dev %s\n"
			 "route add 10.1.0.0/16 via 10.9.9.2 dev %s\n",
			 far, far, far, far);
	error = net_command("ip -batch -", script);
	if (error)
		return net_reason(reason, -error, "ip, of iproute2");
	pair->near = if_nametoindex(near);
	pair->far = if_nametoindex(far);
	error = pair->near && pair->far ? turn_gro_on(far) : -ENODEV;
	return error ? net_reason(reason, -error, far) : 0;
}
