/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules of mode nat: addresses are exchanged for addresses of their own kind, and whose answer a packet
 * is follows from where it comes from. Pure.
 */
#include <errno.h>
#include <string.h>

#include "config_internal.h"
#include "index.h"

struct checker {
	const struct config *config;
	struct config_findings *findings;
	struct index answers; /* the VIP that a place belongs to, by address and port */
	bool modes_known; /* no mode has a finding */
	bool no_memory;
};

static bool modes_known(const struct config_findings *findings)
{
	for (uint32_t i = 0; i < findings->n; i++) {
		const char *field = strrchr(findings->list[i].path, '.');

		if (field && !strcmp(field, ".mode"))
			return false;
	}
	return true;
}

static bool has_place(const struct config_vip *vip)
{
	return vip->address.family && vip->port;
}

/* The other VIP that the server's answers to this one could be of, or -1. */
static int64_t other_vip(struct checker *checker, const struct config_server *server, uint32_t vip)
{
	uint16_t port = server->port ? server->port : checker->config->vips[vip].port;
	uint64_t first = vip;
	int found = index_note(&checker->answers, port, server->address.octets,
			       server->address.family == AF_INET ? 4 : 16, &first);

	checker->no_memory |= found < 0;
	return found == 1 && first != vip ? (int64_t)first : -1;
}

/* One finding a server: what else is wrong with it mostly follows from the first. */
static void check_vip(struct checker *checker, uint32_t pool, uint32_t i, uint32_t vip, bool *found)
{
	const struct config_server *server = &checker->config->pools[pool].servers[i];
	const struct config_vip *of = &checker->config->vips[vip];
	int64_t other;

	if (server->address.family != of->address.family) {
		*found = true;
		config_error(checker->findings, PATH_AT("pools[%u].servers[%u].address", pool, i),
			     "nat leaves a packet its IP version, but vips[%u] has IPv%u", vip,
			     of->address.family == AF_INET ? 4 : 6);
		return;
	}
	other = other_vip(checker, server, vip);
	if (other < 0)
		return;
	*found = true;
	config_error(
		checker->findings, PATH_AT("pools[%u].servers[%u].port", pool, i),
		"answers of port %u could be vips[%u]'s or vips[%u]'s: nat needs a port for each",
		server->port ? server->port : of->port, (uint32_t)other, vip);
}

static void check_server(struct checker *checker, uint32_t pool, uint32_t i)
{
	const struct config *config = checker->config;
	const struct config_server *server = &config->pools[pool].servers[i];
	bool found = false;

	if (checker->modes_known && server->port && server->mode != CONFIG_MODE_NAT)
		config_error(checker->findings, PATH_AT("pools[%u].servers[%u].port", pool, i),
			     "goes with mode nat; %s leaves a packet the VIP's",
			     config_mode_text(server->mode));
	if (server->mode != CONFIG_MODE_NAT || !server->address.family)
		return;
	for (uint32_t vip = 0; !found && vip < config->n_vips; vip++)
		if (config->vips[vip].pool == pool && has_place(&config->vips[vip]))
			check_vip(checker, pool, i, vip, &found);
}

int config_check_nat(const struct config *config, struct config_findings *findings)
{
	struct checker checker = { .config = config,
				   .findings = findings,
				   .modes_known = modes_known(findings) };

	for (uint32_t pool = 0; pool < config->n_pools; pool++)
		for (uint32_t i = 0; i < config->pools[pool].n_servers; i++)
			check_server(&checker, pool, i);
	index_free(&checker.answers);
	return checker.no_memory ? -ENOMEM : 0;
}
