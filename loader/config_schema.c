/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The keys of the file as tables: which there are, what they hold, which must be there, and what
 * counts when they are not.
 */
#include <errno.h>

#include "config_read.h"

static void set_interface_defaults(void *element, const struct config *config)
{
	struct config_interface *interface = element;

	(void)config;
	interface->tier = TIER_NONE;
	interface->require = TIER_NONE;
	interface->exclusive = true;
}

static void set_cid_defaults(void *element, const struct config *config)
{
	(void)config;
	((struct config_cid *)element)->id = LB_CONFIG_RESERVED;
	((struct config_cid *)element)->pool = CONFIG_NO_POOL;
}

static void set_server_defaults(void *element, const struct config *config)
{
	struct config_server *server = element;

	server->mode = config->mode;
	server->weight = CONFIG_DEFAULT_WEIGHT;
}

static void set_server_id_defaults(void *element, const struct config *config)
{
	(void)config;
	((struct config_server_id *)element)->config = LB_CONFIG_RESERVED;
}

static void set_vip_defaults(void *element, const struct config *config)
{
	(void)config;
	((struct config_vip *)element)->pool = CONFIG_NO_POOL;
}

#define AT(type, member) offsetof(struct type, member), sizeof(((struct type *)0)->member)
#define END \
	{   \
	}

static const struct range port_range = { 1, 65535 };
static const struct range weight_range = { 0, 65535 };
static const struct range server_id_length_range = { LB_SERVER_ID_MIN, LB_SERVER_ID_MAX };
static const struct range nonce_length_range = { LB_NONCE_MIN, LB_NONCE_MAX };
static const struct range servers_range = { 1, LB_MAX_SERVERS };
static const struct range server_ids_range = { 1, CONFIG_MAX_SERVER_IDS };
static const struct range min_quiet_range = { 0, 2592000 };
static const struct range vips_range = { 1, LB_MAX_VIPS };
static const struct range pools_range = { 1, LB_MAX_POOLS };
static const struct range known_cids_range = { 1, LB_MAX_KNOWN_CIDS };
static const struct range flows_range = { 0, LB_MAX_FLOWS };
static const struct range cached_cids_range = { 0, LB_MAX_CACHED };
static const struct range budget_range = { 0, 100000000 };
static const struct range share_range = { 1, 100 };
static const struct range timeout_range = { 1, 86400 };
/* Below it no server may offer QUIC (RFC 9000 section 14): 1,200 octets in IPv4 and UDP. */
static const struct range mtu_range = { 1228, 65535 };
static const struct range answers_range = { 0, 1000000 };
static const struct range ipv4 = { AF_INET, AF_INET };
static const struct range ipv6 = { AF_INET6, AF_INET6 };

static const struct word tier_words[] = {
	{ "auto", TIER_NONE },	     { "offload", TIER_OFFLOAD },     { "driver", TIER_DRIVER },
	{ "generic", TIER_GENERIC }, { "userspace", TIER_USERSPACE }, END,
};
static const struct word require_words[] = {
	{ "offload", TIER_OFFLOAD },
	{ "driver", TIER_DRIVER },
	{ "generic", TIER_GENERIC },
	{ "userspace", TIER_USERSPACE },
	END,
};
static const struct word sharing_words[] = { { "exclusive", 1 }, { "dispatcher", 0 }, END };
static const struct word mode_words[] = {
	{ "ipip", CONFIG_MODE_IPIP },
	{ "l2dsr", CONFIG_MODE_L2DSR },
	{ "gue", CONFIG_MODE_GUE },
	{ "nat", CONFIG_MODE_NAT },
	END,
};
static const struct word server_state_words[] = {
	{ "up", CONFIG_UP },
	{ "drain", CONFIG_DRAIN },
	END,
};
static const struct word cid_state_words[] = {
	{ "active", CONFIG_ACTIVE },
	{ "retiring", CONFIG_RETIRING },
	END,
};
static const struct word length_check_words[] = {
	{ "none", LB_LENGTH_UNCHECKED },
	{ "at-least", LB_LENGTH_AT_LEAST },
	{ "equal", LB_LENGTH_EQUAL },
	END,
};

static const struct field interface_fields[] = {
	{ "name", true, config_read_interface, AT(config_interface, name), NULL },
	{ "tier", false, config_read_word, AT(config_interface, tier), tier_words },
	{ "require", false, config_read_word, AT(config_interface, require), require_words },
	{ "sharing", false, config_read_word, AT(config_interface, exclusive), sharing_words },
	END,
};
static const struct list interface_list = {
	interface_fields,
	sizeof(struct config_interface),
	offsetof(struct config, n_interfaces),
	set_interface_defaults,
};

static const struct field cid_fields[] = {
	{ "id", true, config_read_config_id, AT(config_cid, id), NULL },
	{ "server_id_length", true, config_read_number, AT(config_cid, server_id_length),
	  &server_id_length_range },
	{ "nonce_length", true, config_read_number, AT(config_cid, nonce_length),
	  &nonce_length_range },
	{ "state", false, config_read_word, AT(config_cid, state), cid_state_words },
	{ "pool", false, config_read_cid_pool, AT(config_cid, pool), NULL },
	{ "key_file", false, config_read_path, AT(config_cid, key_file), NULL },
	{ "length_check", false, config_read_word, AT(config_cid, length_check),
	  length_check_words },
	END,
};
static const struct list cid_list = {
	cid_fields,
	sizeof(struct config_cid),
	offsetof(struct config, n_cids),
	set_cid_defaults,
};

static const struct field forwarding_fields[] = {
	{ "mode", false, config_read_word, AT(config, mode), mode_words },
	{ "source_v4", false, config_read_address, AT(config, source_v4), &ipv4 },
	{ "source_v6", false, config_read_address, AT(config, source_v6), &ipv6 },
	{ "gue_port", false, config_read_number, AT(config, gue_port), &port_range },
	{ "client_mtu", false, config_read_number, AT(config, client_mtu), &mtu_range },
	{ "server_mtu", false, config_read_number, AT(config, server_mtu), &mtu_range },
	{ "icmp_answers", false, config_read_number, AT(config, icmp_answers), &answers_range },
	END,
};

static const struct field tracking_fields[] = {
	{ "budget", false, config_read_number, AT(config_tracking, budget), &budget_range },
	{ "vip_share", false, config_read_number, AT(config_tracking, vip_share), &share_range },
	{ "handshake_timeout", false, config_read_number, AT(config_tracking, handshake_timeout),
	  &timeout_range },
	{ "idle_timeout", false, config_read_number, AT(config_tracking, idle_timeout),
	  &timeout_range },
	END,
};

static const struct field rotation_fields[] = {
	{ "min_quiet", false, config_read_number, AT(config, min_quiet), &min_quiet_range },
	END,
};

static const struct field fallback_fields[] = {
	{ "rows", false, config_read_rows, AT(config, rows), NULL },
	END,
};

static const struct field limits_fields[] = {
	{ "servers", false, config_read_number, AT(config_limits, servers), &servers_range },
	{ "server_ids", false, config_read_number, AT(config_limits, server_ids),
	  &server_ids_range },
	{ "vips", false, config_read_number, AT(config_limits, vips), &vips_range },
	{ "pools", false, config_read_number, AT(config_limits, pools), &pools_range },
	{ "known_cids", false, config_read_number, AT(config_limits, known_cids),
	  &known_cids_range },
	{ "flows", false, config_read_number, AT(config_limits, flows), &flows_range },
	{ "cached_cids", false, config_read_number, AT(config_limits, cached_cids),
	  &cached_cids_range },
	END,
};

static const struct field server_id_fields[] = {
	{ "config", true, config_read_config_id, AT(config_server_id, config), NULL },
	{ "id", true, config_read_server_id, 0, 0, NULL },
	END,
};
static const struct list server_id_list = {
	server_id_fields,
	sizeof(struct config_server_id),
	offsetof(struct config_server, n_ids),
	set_server_id_defaults,
};

static const struct field server_fields[] = {
	{ "name", true, config_read_name, AT(config_server, name), NULL },
	{ "address", true, config_read_address, AT(config_server, address), NULL },
	{ "mode", false, config_read_word, AT(config_server, mode), mode_words },
	{ "port", false, config_read_number, AT(config_server, port), &port_range },
	{ "weight", false, config_read_number, AT(config_server, weight), &weight_range },
	{ "state", false, config_read_word, AT(config_server, state), server_state_words },
	{ "server_ids", false, config_read_list, AT(config_server, ids), &server_id_list },
	END,
};
static const struct list server_list = {
	server_fields,
	sizeof(struct config_server),
	offsetof(struct config_pool, n_servers),
	set_server_defaults,
};

static const struct field pool_fields[] = {
	{ "name", true, config_read_name, AT(config_pool, name), NULL },
	{ "servers", true, config_read_list, AT(config_pool, servers), &server_list },
	END,
};
static const struct list pool_list = {
	pool_fields,
	sizeof(struct config_pool),
	offsetof(struct config, n_pools),
	NULL,
};

static const struct field vip_fields[] = {
	{ "name", true, config_read_name, AT(config_vip, name), NULL },
	{ "address", true, config_read_address, AT(config_vip, address), NULL },
	{ "port", true, config_read_number, AT(config_vip, port), &port_range },
	{ "pool", true, config_read_pool_name, AT(config_vip, pool), NULL },
	END,
};
static const struct list vip_list = {
	vip_fields,
	sizeof(struct config_vip),
	offsetof(struct config, n_vips),
	set_vip_defaults,
};

static const struct field file_fields[] = {
	{ "version", true, config_read_version, 0, 0, NULL },
	{ "interfaces", false, config_read_list, AT(config, interfaces), &interface_list },
	{ "forwarding", false, config_read_section, 0, 0, forwarding_fields },
	{ "tracking", false, config_read_section, AT(config, tracking), tracking_fields },
	{ "rotation", false, config_read_section, 0, 0, rotation_fields },
	{ "fallback", false, config_read_section, 0, 0, fallback_fields },
	{ "limits", false, config_read_section, AT(config, limits), limits_fields },
	{ "pools", false, config_read_list, AT(config, pools), &pool_list },
	{ "cid_configs", false, config_read_list, AT(config, cids), &cid_list },
	{ "vips", false, config_read_list, AT(config, vips), &vip_list },
	END,
};

int config_read(const struct config_node *tree, struct config *config,
		struct config_findings *findings)
{
	struct reader reader = { .config = config, .findings = findings };

	config->rows = LB_DEFAULT_ROWS;
	config->limits.flows = LB_DEFAULT_FLOWS;
	config->limits.cached_cids = LB_DEFAULT_CACHED;
	config->icmp_answers = CONFIG_DEFAULT_ICMP_ANSWERS;
	config->tracking = (struct config_tracking){
		.budget = CONFIG_DEFAULT_BUDGET,
		.vip_share = CONFIG_DEFAULT_VIP_SHARE,
		.handshake_timeout = CONFIG_DEFAULT_HANDSHAKE_TIMEOUT,
		.idle_timeout = CONFIG_DEFAULT_IDLE_TIMEOUT,
	};
	config->min_quiet = CONFIG_DEFAULT_MIN_QUIET;
	config->gue_port = LB_GUE_PORT;
	config_read_keys(&reader, tree, file_fields, config);
	return reader.no_memory ? -ENOMEM : 0;
}
