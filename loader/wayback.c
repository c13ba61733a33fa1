/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether this host passes on what its nat servers answer. See wayback.h.
 */
#include "wayback.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static bool is_off(const char *name)
{
	char path[WAYBACK_SWITCH + 16];
	char value[2] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(value, sizeof(value), file))
		value[0] = '\0';
	fclose(file);
	return value[0] == '0';
}

/* IPv4 asks the interface where a packet came in; IPv6 asks one switch for all. */
static void name_switch(const struct config_address *address, uint32_t ifindex,
			char name[WAYBACK_SWITCH])
{
	char interface[IF_NAMESIZE];

	name[0] = '\0';
	if (address->family == AF_INET6)
		snprintf(name, WAYBACK_SWITCH, "net/ipv6/conf/all/forwarding");
	else if (if_indextoname(ifindex, interface))
		snprintf(name, WAYBACK_SWITCH, "net/ipv4/conf/%s/forwarding", interface);
}

void wayback_check(const struct config *config, const struct plan_hop *hops, uint32_t ifindex,
		   char name[WAYBACK_SWITCH])
{
	const struct config_server *server;
	uint32_t pool = 0;

	for (uint32_t i = 0; (server = plan_server(config, i, &pool)); i++) {
		if (server->mode != CONFIG_MODE_NAT || !hops[i].resolved)
			continue;
		name_switch(&server->address, hops[i].egress ? hops[i].egress : ifindex, name);
		if (name[0] && is_off(name))
			return;
	}
	name[0] = '\0';
}
