/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules about the ways to the servers: none leads back here, and what clients send fits. Pure.
 */
#include <errno.h>

#include "config_internal.h"
#include "index.h"

/* RFC 9000 section 14 and RFC 8200 section 5: without these no connection comes about. */
#define LEAST_IPV4 (1200 + 28)
#define LEAST_IPV6 1280

static size_t octets_of(const struct config_address *address)
{
	return address->family == AF_INET ? 4 : sizeof(address->octets);
}

/* The VIPs by their addresses, each with the first it belongs to. 0 or -ENOMEM. */
static int note_vips(const struct config *config, struct index *vips)
{
	for (uint32_t i = 0; i < config->n_vips; i++) {
		const struct config_address *address = &config->vips[i].address;
		uint64_t vip = i;

		if (address->family &&
		    index_note(vips, 0, address->octets, octets_of(address), &vip) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* What is sent to such an address comes back, as often as its TTL lets it. */
static void check_loop(const struct config *config, const struct index *vips, uint32_t pool,
		       uint32_t i, struct config_findings *findings)
{
	const struct config_address *address = &config->pools[pool].servers[i].address;
	char text[INET6_ADDRSTRLEN];
	uint64_t vip;

	if (!address->family)
		return;
	if (index_find(vips, 0, address->octets, octets_of(address), &vip))
		config_error(findings, PATH_AT("pools[%u].servers[%u].address", pool, i),
			     "%s is the address of vips[%u]: a server needs one of its own",
			     config_address_text(address, text), (uint32_t)vip);
	else if (config_address_equal(address, &config->source_v4) ||
		 config_address_equal(address, &config->source_v6))
		config_error(findings, PATH_AT("pools[%u].servers[%u].address", pool, i),
			     "%s is the balancer's own: forwarding.source_v%u",
			     config_address_text(address, text),
			     address->family == AF_INET ? 4 : 6);
}

static uint32_t outer_length(const struct config_server *server)
{
	uint32_t ip = server->address.family == AF_INET ? 20 : 40;

	switch (server->mode) {
	case CONFIG_MODE_IPIP:
		return ip;
	case CONFIG_MODE_GUE:
		return ip + LB_GUE_LENGTH;
	default:
		return 0;
	}
}

static void check_size(const struct config *config, uint32_t inner, uint32_t pool, uint32_t i,
		       struct config_findings *findings)
{
	const struct config_server *server = &config->pools[pool].servers[i];
	uint32_t outer = outer_length(server), needed = inner + outer;
	bool v6 = server->address.family == AF_INET6;

	if (!server->address.family)
		return;
	if (v6 && needed < LEAST_IPV6)
		needed = LEAST_IPV6;
	if (needed > config->server_mtu)
		config_error(findings, PATH_AT("pools[%u].servers[%u]", pool, i),
			     "needs an MTU of %u: packets of %u%s and %u octets of %s to IPv%u; "
			     "forwarding.server_mtu is %u",
			     needed, inner,
			     config->client_mtu ? " (forwarding.client_mtu)" : " at least", outer,
			     config_mode_text(server->mode), v6 ? 6 : 4, config->server_mtu);
}

/* A packet that every client of the pool may send. */
static uint32_t inner_length(const struct config *config, uint32_t pool)
{
	if (config->client_mtu)
		return config->client_mtu;
	for (uint32_t i = 0; i < config->n_vips; i++)
		if (config->vips[i].pool == pool && config->vips[i].address.family == AF_INET6)
			return LEAST_IPV6;
	return LEAST_IPV4;
}

static void check_client_mtu(const struct config *config, struct config_findings *findings)
{
	if (!config->client_mtu || config->client_mtu >= LEAST_IPV6)
		return;
	for (uint32_t i = 0; i < config->n_vips; i++)
		if (config->vips[i].address.family == AF_INET6) {
			config_error(findings, "forwarding.client_mtu",
				     "is %u, but every IPv6 path has %u (vips[%u])",
				     config->client_mtu, LEAST_IPV6, i);
			return;
		}
}

int config_check_ways(const struct config *config, struct config_findings *findings)
{
	struct index vips = {};
	int err = note_vips(config, &vips);

	check_client_mtu(config, findings);
	for (uint32_t pool = 0; !err && pool < config->n_pools; pool++) {
		uint32_t inner = inner_length(config, pool);

		for (uint32_t i = 0; i < config->pools[pool].n_servers; i++) {
			check_loop(config, &vips, pool, i, findings);
			if (config->server_mtu)
				check_size(config, inner, pool, i, findings);
		}
	}
	index_free(&vips);
	return err;
}
