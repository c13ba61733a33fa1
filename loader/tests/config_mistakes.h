/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For test_config.c: a valid file, and every kind of mistake with the paths it must be found at.
 */
#ifndef SHUNT_CONFIG_MISTAKES_H
#define SHUNT_CONFIG_MISTAKES_H

#define PATHS_MAX 12

/* The parts of a valid file; a case replaces one of them. */
#define CIDS                                                                 \
	"cid_configs:\n"                                                     \
	"- {id: 0, server_id_length: 3, nonce_length: 4, state: retiring}\n" \
	"- {id: 1, server_id_length: 8, nonce_length: 8}\n"
#define POOLS                                                                              \
	"pools:\n"                                                                         \
	"- name: web\n"                                                                    \
	"  servers:\n"                                                                     \
	"  - name: a\n"                                                                    \
	"    address: 198.51.100.1\n"                                                      \
	"    server_ids: [{config: 0, id: c4605e}, {config: 1, id: '0001020304050607'}]\n" \
	"  - name: b\n"                                                                    \
	"    address: 2001:db8::2\n"                                                       \
	"    weight: 0\n"                                                                  \
	"    state: drain\n"                                                               \
	"    mode: l2dsr\n"                                                                \
	"    server_ids: [{config: 1, id: 00:01:02:03:04:05:06:08}]\n"
#define VIPS	     "vips:\n- {name: www, address: 203.0.113.80, port: 443, pool: web}\n"
#define SERVERS(...) "pools:\n- name: web\n  servers: [" __VA_ARGS__ "]\n"
#define A	     "{name: a, address: 10.0.0.1}"

static const char valid[] = "version: 1\n"
			    "interfaces: [{name: eth0, tier: driver, require: generic}]\n"
			    "forwarding: {mode: ipip, source_v4: 192.0.2.1}\n" CIDS POOLS VIPS;

struct mistake {
	const char *text;
	const char *paths[PATHS_MAX];
};

static const struct mistake mistakes[] = {
	{ "", { "" } },
	{ "# nothing\n", { "" } },
	{ "- a\n", { "" } },
	{ "word\n", { "" } },
	{ "{}\n", { "version" } },
	{ "version: 2\n", { "version" } },
	{ "version: one\n", { "version" } },
	{ "version: [1]\n", { "version" } },
	{ "version:\n", { "version" } },
	{ "version: -1\n", { "version" } },
	{ "version: 99999999999999999999999\n", { "version" } },
	{ "version: 1\nversion: 1\n", { "version" } },
	{ "version: 1\ncolour: red\nsize: 3\n", { "colour", "size" } },
	{ "version: 1\n\"\": 1\n", { "\"\"" } },
	{ "version: 1\n\"a\\x01b\": 1\n", { "a?b" } },
	{ "version: 1\n<<: {a: 1}\n", { "<<" } },
	/* YAML */
	{ "version: 1\n---\nversion: 1\n", { "" } },
	{ "version: [1\n", { "" } },
	{ "version: 1\n vips: 2\n", { "" } },
	{ "version: 1\n\tvips: 2\n", { "" } },
	{ "version: &a 1\n", { "" } },
	{ "a: &a [1]\nb: *a\n", { "" } },
	{ "a: &a [*a]\n", { "" } },
	{ "a: *nix\n", { "" } },
	{ "&k version: 1\n", { "" } },
	{ "version: !!int 1\n", { "" } },
	{ "{[a]: 1}\n", { "" } },
	{ "a: \"\\0\"\n", { "" } },
	{ "\"a\\0\": 1\n", { "" } },
	{ "a: \xff\xfe\n", { "" } },
	{ "a: \"\\ud800\"\n", { "" } },
	{ "a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", { "" } },
	/* Interfaces */
	{ "version: 1\ninterfaces: eth0\n", { "interfaces" } },
	{ "version: 1\ninterfaces: [eth0, ~]\n", { "interfaces[0]", "interfaces[1]" } },
	{ "version: 1\ninterfaces: [{tier: auto}]\n", { "interfaces[0].name" } },
	{ "version: 1\ninterfaces: [{name: ''}, {name: a/b}, {name: 'a b'}, {name: ..}, {name: a:b},"
	  " {name: abcdefghijklmnop}]\n",
	  { "interfaces[0].name", "interfaces[1].name", "interfaces[2].name", "interfaces[3].name",
	    "interfaces[4].name", "interfaces[5].name" } },
	{ "version: 1\ninterfaces: [{name: a}, {name: b}, {name: a}]\n", { "interfaces[2].name" } },
	{ "version: 1\ninterfaces: [{name: a, tier: hardware, require: auto, sharing: both}]\n",
	  { "interfaces[0].tier", "interfaces[0].require", "interfaces[0].sharing" } },
	{ "version: 1\ninterfaces: [{name: a, tier: generic, require: driver}]\n",
	  { "interfaces[0].require" } },
	/* CID configs */
	{ "version: 1\ncid_configs: [{}]\n",
	  { "cid_configs[0].id", "cid_configs[0].server_id_length",
	    "cid_configs[0].nonce_length" } },
	{ "version: 1\ncid_configs: [{id: 7, server_id_length: 1, nonce_length: 4},"
	  " {id: 8, server_id_length: 1, nonce_length: 4}]\n",
	  { "cid_configs[0].id", "cid_configs[1].id" } },
	{ "version: 1\ncid_configs: [{id: 0, server_id_length: 0, nonce_length: 3},"
	  " {id: 1, server_id_length: 16, nonce_length: 19}]\n",
	  { "cid_configs[0].server_id_length", "cid_configs[0].nonce_length",
	    "cid_configs[1].server_id_length", "cid_configs[1].nonce_length" } },
	{ "version: 1\ncid_configs: [{id: 0, server_id_length: 2, nonce_length: 18},"
	  " {id: 1, server_id_length: 15, nonce_length: 5}]\n",
	  { "cid_configs[0].nonce_length", "cid_configs[1].nonce_length" } },
	{ "version: 1\ncid_configs: [{id: 3, server_id_length: 1, nonce_length: 18},"
	  " {id: 3, server_id_length: 15, nonce_length: 4, state: old, key_file: /k}]\n",
	  { "cid_configs[1].key_file", "cid_configs[1].state", "cid_configs[1].id" } },
	{ "version: 1\ncid_configs: [{id: 3, server_id_length: 1, nonce_length: 18, key_file: [a],"
	  " length_check: exact}, {id: 4, server_id_length: 1, nonce_length: 18, key_file: '',"
	  " length_check: {}}]\n",
	  { "cid_configs[0].key_file", "cid_configs[0].length_check", "cid_configs[1].key_file",
	    "cid_configs[1].length_check" } },
	/* One for all pools excludes any other of its id; one pool has one. */
	{ "version: 1\ncid_configs: [{id: 3, server_id_length: 1, nonce_length: 18, pool: web},"
	  " {id: 3, server_id_length: 1, nonce_length: 18},"
	  " {id: 3, server_id_length: 1, nonce_length: 18, pool: web},"
	  " {id: 3, server_id_length: 1, nonce_length: 18, pool: nix}]\n" SERVERS(A) VIPS,
	  { "cid_configs[1].id", "cid_configs[2].id", "cid_configs[3].pool" } },
	{ "version: 1\ncid_configs: [{id: 3, server_id_length: 1, nonce_length: 18, pool: red},"
	  " {id: 4, server_id_length: 1, nonce_length: 18, pool: nix}]\n"
	  "pools: [{name: red, servers: [" A "]}, {name: blue, servers:"
	  " [{name: a, address: 10.0.0.1, server_ids: [{config: 3, id: 01}, {config: 4, id: 01}]}]}]\n",
	  { "cid_configs[1].pool", "pools[1].servers[0].server_ids[0].config" } },
	{ "version: 1\nrotation: {min_quiet: 2592001}\n", { "rotation.min_quiet" } },
	{ "version: 1\nrotation: {min_quiet: 10m, max: 3}\n",
	  { "rotation.min_quiet", "rotation.max" } },
	{ "version: 1\nrotation: 600\n", { "rotation" } },
	/* Forwarding, fallback, limits */
	{ "version: 1\nforwarding: {mode: gre, source_v4: '2001:db8::1', source_v6: 192.0.2.1}\n",
	  { "forwarding.mode", "forwarding.source_v4", "forwarding.source_v6" } },
	{ "version: 1\nforwarding: {source_v4: 0.0.0.0, source_v6: 'ff02::1'}\n",
	  { "forwarding.source_v4", "forwarding.source_v6" } },
	{ "version: 1\nforwarding: [ipip]\n", { "forwarding" } },
	{ "version: 1\nforwarding: {gue_port: 0}\n", { "forwarding.gue_port" } },
	{ "version: 1\nforwarding: {mode: gue, gue_port: 65536}\n", { "forwarding.gue_port" } },
	{ "version: 1\nfallback: {rows: 4095}\n", { "fallback.rows" } },
	{ "version: 1\nfallback: {rows: 8}\n", { "fallback.rows" } },
	{ "version: 1\nfallback: {rows: 131072}\n", { "fallback.rows" } },
	{ "version: 1\nfallback: {rows: 0}\n", { "fallback.rows" } },
	{ "version: 1\nlimits: {servers: 65536, server_ids: 0, vips: 4096, pools: -1}\n",
	  { "limits.servers", "limits.server_ids", "limits.vips", "limits.pools" } },
	{ "version: 1\nlimits: {servers: 1, server_ids: 2}\n" CIDS POOLS VIPS,
	  { "limits.servers", "limits.server_ids" } },
	/* Pools and servers */
	{ "version: 1\npools: [{name: web}, {name: w, servers: []}, {name: v, servers: ~},"
	  " {name: u, servers: a}]\n",
	  { "pools[0].servers", "pools[1].servers", "pools[2].servers", "pools[3].servers" } },
	{ "version: 1\npools: [{name: web, servers: [" A "]}, {name: web, servers: [" A "]}]\n",
	  { "pools[1].name" } },
	{ "version: 1\n" SERVERS(A ", {name: a, address: 10.0.0.2}, {name: c, address: 10.0.0.1}"),
	  { "pools[0].servers[1].name", "pools[0].servers[2].address" } },
	{ "version: 1\n" SERVERS("{name: a b, address: localhost}, {name: '', address: 10.0.0.256}"),
	  { "pools[0].servers[0].name", "pools[0].servers[0].address", "pools[0].servers[1].name",
	    "pools[0].servers[1].address" } },
	{ "version: 1\n" SERVERS(
		  "{name: a, address: 127.0.0.1}, {name: b, address: 224.0.0.1},"
		  " {name: c, address: '::'}, {name: d, address: '::1'}, {name: e, address: 'ff05::2'},"
		  " {name: f, address: 'fe80::1'}, {name: g, address: '::ffff:10.0.0.1'},"
		  " {name: h, address: 255.255.255.255}, {name: i, address: 0.0.0.0}"),
	  { "pools[0].servers[0].address", "pools[0].servers[1].address",
	    "pools[0].servers[2].address", "pools[0].servers[3].address",
	    "pools[0].servers[4].address", "pools[0].servers[5].address",
	    "pools[0].servers[6].address", "pools[0].servers[7].address",
	    "pools[0].servers[8].address" } },
	{ "version: 1\n" SERVERS(
		  "{name: a, address: 10.0.0.1, weight: 65536, state: down, mode: gre}"),
	  { "pools[0].servers[0].mode", "pools[0].servers[0].weight",
	    "pools[0].servers[0].state" } },
	{ "version: 1\n" SERVERS("{name: a, address: 10.0.0.1, weight: 1e2}"),
	  { "pools[0].servers[0].weight" } },
	{ "version: 1\n" SERVERS("{name: a, address: 10.0.0.1, weight: 010}"),
	  { "pools[0].servers[0].weight" } },
	{ "version: 1\n" SERVERS(
		  "{name: a0123456789012345678901234567890123456789012345678901234567890123,"
		  " address: 10.0.0.1}"),
	  { "pools[0].servers[0].name" } },
	{ "version: 1\n" SERVERS(
		  "{name: a, address: 10.0.0.1, port: 0}, {name: b, address: 10.0.0.2,"
		  " port: 65536}"),
	  { "pools[0].servers[0].port", "pools[0].servers[1].port" } },
	/* Servers that are the balancer itself */
	{ "version: 1\nforwarding: {source_v4: 10.0.0.1, source_v6: '2001:db8::1'}\n" SERVERS(
		  A
		  ", {name: b, address: '2001:DB8:0::1', mode: l2dsr}, {name: c, address: 203.0.113.80},"
		  " {name: d, address: 10.0.0.2}") VIPS,
	  { "pools[0].servers[0].address", "pools[0].servers[1].address",
	    "pools[0].servers[2].address" } },
	{ "version: 1\npools: [{name: w, servers: [{name: a, address: '2001:db8::80'}]},"
	  " {name: x, servers: [" A "]}]\n"
	  "vips: [{name: v, address: '2001:db8:0::80', port: 1, pool: x}]\n",
	  { "pools[0].servers[0].address" } },
	/* Packets that would not fit */
	{ "version: 1\nforwarding: {client_mtu: 1500, server_mtu: 1531}\n" SERVERS(
		  A ", {name: b, address: '2001:db8::2'}, {name: c, address: 10.0.0.3, mode: gue},"
		    " {name: d, address: '2001:db8::4', mode: gue},"
		    " {name: e, address: 10.0.0.5, mode: l2dsr}") VIPS,
	  { "pools[0].servers[1]", "pools[0].servers[2]", "pools[0].servers[3]" } },
	{ "version: 1\nforwarding: {client_mtu: 1501, server_mtu: 1500}\n" SERVERS(
		  "{name: a, address: 10.0.0.1, mode: l2dsr}, {name: b, address: 10.0.0.2, mode: nat}")
		  VIPS,
	  { "pools[0].servers[0]", "pools[0].servers[1]" } },
	{ "version: 1\nforwarding: {server_mtu: 1247}\n" SERVERS(A) VIPS,
	  { "pools[0].servers[0]" } },
	{ "version: 1\nforwarding: {server_mtu: 1279, client_mtu: 1230}\n" SERVERS(
		  "{name: a, address: '2001:db8::1'}") VIPS,
	  { "pools[0].servers[0]" } },
	{ "version: 1\nforwarding: {server_mtu: 1299}\n" SERVERS(
		  A) "vips: [{name: v, address: '2001:db8::80', port: 443, pool: web}]\n",
	  { "pools[0].servers[0]" } },
	{ "version: 1\nforwarding: {client_mtu: 1279}\n" SERVERS(
		  A) "vips: [{name: v, address: '2001:db8::80', port: 443, pool: web}]\n",
	  { "forwarding.client_mtu" } },
	{ "version: 1\nforwarding: {client_mtu: 1227, server_mtu: 65536, icmp_answers: 1000001}\n",
	  { "forwarding.client_mtu", "forwarding.server_mtu", "forwarding.icmp_answers" } },
	{ "version: 1\ntracking: {budget: -1, vip_share: 0, handshake_timeout: 0, idle_timeout: 86401}\n"
	  "limits: {flows: 16777217}\n",
	  { "tracking.budget", "tracking.vip_share", "tracking.handshake_timeout",
	    "tracking.idle_timeout", "limits.flows" } },
	/* Server ids */
	{ "version: 1\n" CIDS SERVERS(
		  "{name: a, address: 10.0.0.1, server_ids: [{config: 2, id: aa},"
		  " {config: 7, id: aa}, {config: 0, id: aabb}, {config: 0, id: abc},"
		  " {config: 0, id: ''}, {config: 0}, {id: aabbcc},"
		  " {config: 0, id: 00112233445566778899aabbccddeeff}]}"),
	  { "pools[0].servers[0].server_ids[0].config", "pools[0].servers[0].server_ids[1].config",
	    "pools[0].servers[0].server_ids[3].id", "pools[0].servers[0].server_ids[4].id",
	    "pools[0].servers[0].server_ids[5].id", "pools[0].servers[0].server_ids[6].config",
	    "pools[0].servers[0].server_ids[7].id", "pools[0].servers[0].server_ids[2].id" } },
	{ "version: 1\n" CIDS
	  "pools: [{name: p, servers: [{name: a, address: 10.0.0.1, server_ids: [{config: 0, id: 000001}]}]},"
	  " {name: q, servers: [{name: a, address: 10.0.0.1, server_ids: [{config: 0, id: 00:00:01}]}]}]\n",
	  { "pools[1].servers[0].server_ids[0].id" } },
	{ "version: 1\n" CIDS
	  "pools: [{name: p, servers: [{name: a, address: 10.0.0.1, server_ids: [{config: 0, id: 000001}]}]},"
	  " {name: q, servers: [{name: b, address: '2001:db8::1', server_ids: [{config: 0, id: 00:00:01}]}]}]\n",
	  { "pools[1].servers[0].server_ids[0].id" } },
	/* One mistake makes one finding: what refers to it is not blamed. */
	{ "version: 1\ncid_configs: [{id: x, server_id_length: 99, nonce_length: 4}]\n" SERVERS(
		  "{name: a, address: 10.0.0.1, server_ids: [{config: 0, id: aabb}]}"),
	  { "cid_configs[0].id", "cid_configs[0].server_id_length" } },
	{ "version: 1\npools: [{name: w w, servers: [" A "]}]\n"
	  "vips: [{name: v, address: 10.0.0.9, port: 1, pool: w w}]\n",
	  { "pools[0].name" } },
	/* VIPs */
	{ "version: 1\n" POOLS CIDS "vips: [{name: a, address: 10.0.0.1, port: 0, pool: web},"
	  " {name: b, address: 10.0.0.1, port: 65536, pool: nix}, {name: c, pool: web},"
	  " {name: d, address: 10.0.0.1, port: 1}, {name: d, address: 10.0.0.1, port: 1, pool: web}]\n",
	  { "vips[0].port", "vips[1].port", "vips[1].pool", "vips[2].address", "vips[2].port",
	    "vips[3].pool", "vips[4].name", "vips[4].address" } },
	{ "version: 1\n" POOLS CIDS
	  "vips: [{name: a, address: '2001:db8::1', port: 443, pool: web},"
	  " {name: b, address: '2001:DB8:0::1', port: 443, pool: web}]\n",
	  { "vips[1].address" } },
	/* nat: a port for nobody else, one family, one VIP that an answer can be of */
	{ "version: 1\n" SERVERS("{name: a, address: 10.0.0.1, port: 8443},"
				 " {name: b, address: 10.0.0.2, mode: gue, port: 1},"
				 " {name: c, address: 10.0.0.3, mode: nat, port: 0}"),
	  { "pools[0].servers[0].port", "pools[0].servers[1].port", "pools[0].servers[2].port" } },
	{ "version: 1\nforwarding: {mode: nta}\n" SERVERS(
		  "{name: a, address: 10.0.0.1, port: 8443}"),
	  { "forwarding.mode" } },
	{ "version: 1\nforwarding: {mode: nat}\n" SERVERS(
		  A
		  ", {name: b, address: '2001:db8::1'}") "vips: [{name: v4, address: 203.0.113.80, port: 443, pool: web},"
							 " {name: v6, address: '2001:db8::80', port: 443, pool: web}]\n",
	  { "pools[0].servers[0].address", "pools[0].servers[1].address" } },
	{ "version: 1\nforwarding: {mode: nat}\n" SERVERS(
		  A
		  ", {name: b, address: 10.0.0.2, port: 8443}, {name: c, address: 10.0.0.3, mode: ipip}") "vips: [{name: v, address: 203.0.113.80, port: 443, pool: web},"
													  " {name: w, address: 203.0.113.80, port: 444, pool: web}]\n",
	  { "pools[0].servers[1].port" } },
	{ "version: 1\nforwarding: {mode: nat}\n"
	  "pools: [{name: p, servers: [" A
	  "]}, {name: q, servers: [{name: b, address: 10.0.0.1, port: 443}]}]\n"
	  "vips: [{name: v, address: 203.0.113.80, port: 443, pool: p},"
	  " {name: w, address: 203.0.113.81, port: 8443, pool: q},"
	  " {name: x, address: 203.0.113.82, port: 443, pool: p}]\n",
	  { "pools[0].servers[0].port", "pools[1].servers[0].port" } },
};

#endif
