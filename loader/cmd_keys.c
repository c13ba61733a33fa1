/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * keygen and server-config: a new key, and what a server must be told to write connection IDs.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cid.h"
#include "cli.h"
#include "config.h"
#include "keys.h"
#include "out.h"
#include "report.h"

#define PROBLEM_SIZE 320

struct keygen_options {
	const char *output;
	bool raw, force, show;
};

static int fail_write(const char *path, int error)
{
	struct reason reason = {};

	reason_set(&reason, REASON_UNKNOWN, "key-file", -error, "%s", path);
	if (error == -EEXIST)
		reason_set_hint(&reason, "another name; --force replaces it, and what is encrypted "
					 "with its key is lost");
	return out_fail(&reason);
}

/* Past stdio, whose buffer would keep it. */
static int show_key(const uint8_t *key, bool raw)
{
	char text[KEYS_TEXT_MAX];
	size_t n = keys_text(key, raw, text), done = 0;
	ssize_t written = 0;

	for (; done < n && written >= 0; done += written > 0 ? written : 0)
		written = write(STDOUT_FILENO, text + done, n - done);
	explicit_bzero(text, sizeof(text));
	return written < 0 ? -errno : 0;
}

static int write_key(const struct keygen_options *options, const uint8_t *key)
{
	char fingerprint[KEYS_FINGERPRINT_SIZE], shown[CONFIG_KEY_TEXT];
	int error;

	if (!options->output) {
		error = show_key(key, options->raw);
		return error ? fail_write("standard output", error) : 0;
	}
	error = keys_write(options->output, key, options->raw, options->force);
	if (error)
		return fail_write(options->output, error);
	keys_fingerprint(key, fingerprint);
	snprintf(shown, sizeof(shown), KEYS_FINGERPRINT_NAME "%s", fingerprint);
	out_text("%s: %s\n", options->output, shown);
	out_json(json_pack("{s:s, s:o, s:s}", "schema", "shunt/keygen/1", "file",
			   out_string(options->output), "key_fingerprint", shown));
	return 0;
}

static int run_keygen(const struct cli_common *common, const void *opaque, int argc, char **argv)
{
	const struct keygen_options *options = opaque;
	uint8_t key[KEYS_SIZE];
	int status;

	(void)argc;
	(void)argv;
	if (!options->output && common->json)
		return out_usage("--json", "a document holds no key: -o FILE");
	if (!options->output && isatty(STDOUT_FILENO) && !options->show)
		return out_usage("keygen", "to a terminal only with --show; -o FILE writes a file");
	keys_protect_process();
	status = keys_random(key);
	status = status ? fail_write("random octets", status) : write_key(options, key);
	explicit_bzero(key, sizeof(key));
	return status;
}

struct server_options {
	const char *config;
};

/* One config as a server sees it. */
struct part {
	const struct config_cid *cid;
	const struct config_server *server;
	char key_file[CONFIG_PATH_MAX + PATH_MAX];
};

static uint32_t body_length(const struct config_cid *cid)
{
	return cid->server_id_length + cid->nonce_length;
}

static const char *state_text(const struct config_cid *cid)
{
	return cid->state == CONFIG_ACTIVE ? "active" : "retiring";
}

static json_t *ids_json(const struct part *part)
{
	char hex[2 * LB_SERVER_ID_MAX + 1];
	json_t *ids = json_array();

	for (uint32_t i = 0; i < part->server->n_ids; i++)
		if (part->server->ids[i].config == part->cid->id)
			json_array_append_new(ids, json_string(config_hex_text(
							   part->server->ids[i].id,
							   part->server->ids[i].length, hex)));
	return ids;
}

static json_t *part_json(const struct part *part, json_t *ids)
{
	const struct config_cid *cid = part->cid;
	char key[CONFIG_KEY_TEXT];

	return json_pack("{s:i, s:s, s:O, s:O, s:i, s:i, s:i, s:s, s:o, s:s?, s:s}", "config_id",
			 cid->id, "state", state_text(cid), "server_id", json_array_get(ids, 0),
			 "server_ids", ids, "server_id_length", cid->server_id_length,
			 "nonce_length", cid->nonce_length, "cid_length", 1 + body_length(cid),
			 "algorithm", config_algorithm(cid), "key_file",
			 cid->keyed ? out_string(part->key_file) : json_null(), "key_fingerprint",
			 config_key_text(cid, key), "length_check", config_length_check(cid));
}

static void print_first_octet(const struct config_cid *cid)
{
	uint32_t first = cid->id << 5, body = body_length(cid);

	switch (cid->length_check) {
	case LB_LENGTH_AT_LEAST:
		out_text(
			"  first octet    0x%02x plus the octets behind it, at least %u: the balancer "
			"looks\n",
			first, body);
		break;
	case LB_LENGTH_EQUAL:
		out_text(
			"  first octet    0x%02x plus exactly the octets behind it, %u and its own: "
			"the balancer looks\n",
			first, body);
		break;
	default:
		out_text("  first octet    0x%02x plus the octets behind it (0x%02x), or plus five "
			 "random bits\n",
			 first, first + body);
	}
}

/* Draft section 9.6, and 5.4 for clear ones: a count there tells one connection from the next. */
static void print_nonce(const struct config_cid *cid)
{
	int half = 4 * cid->nonce_length;

	if (cid->keyed)
		out_text(
			"  nonce          %u octets, never twice with this key: a count from a random "
			"start (lasts for 2^%d), or\n"
			"                 random (likely to repeat after 2^%d)\n",
			cid->nonce_length, 2 * half, half);
	else
		out_text("  nonce          %u octets, random: no count, nothing that tells one "
			 "connection from another;\n"
			 "                 likely to repeat after 2^%d\n",
			 cid->nonce_length, half);
}

static void print_part(const struct part *part, json_t *ids)
{
	const struct config_cid *cid = part->cid;
	char key[CONFIG_KEY_TEXT];
	json_t *id;
	size_t i;

	out_text("config %u, %s, %s\n", cid->id, config_algorithm(cid),
		 cid->state == CONFIG_ACTIVE ? "active" :
					       "retiring: read it, but issue no more of it");
	out_text("  connection id  %u octets: 1, server id %u, nonce %u\n", 1 + body_length(cid),
		 cid->server_id_length, cid->nonce_length);
	json_array_foreach(ids, i, id)
		out_text("  server id      %s\n", json_string_value(id));
	print_first_octet(cid);
	print_nonce(cid);
	if (cid->keyed)
		out_text("  key            %s, here in %s\n", config_key_text(cid, key),
			 part->key_file);
}

/* What it must issue without a config: draft section 3.2. */
static void print_unconfigured(void)
{
	out_text("no active config: connection IDs of config 7, first octet 0xe0 plus the octets "
		 "behind it, 7 or more\n"
		 "of them, random; one for each connection, no NEW_CONNECTION_ID, and "
		 "disable_active_migration\n");
}

/* Tells one config, if the server has an id in it. 0, or the exit status of a failure, reported. */
static int tell_part(const char *file, const struct config_server *server,
		     const struct config_cid *cid, json_t *configs)
{
	struct part part = { .cid = cid, .server = server };
	json_t *ids;

	if (config_key_path(cid, file, part.key_file, sizeof(part.key_file)))
		return fail_write(cid->key_file, -ENAMETOOLONG);
	ids = ids_json(&part);
	if (json_array_size(ids)) {
		print_part(&part, ids);
		json_array_append_new(configs, part_json(&part, ids));
	}
	json_decref(ids);
	return 0;
}

/* All configs of a state that its pool sees; id LB_CONFIG_RESERVED: of any id. */
static int tell_parts(const char *file, const struct config *config, const struct cid_server *found,
		      enum config_cid_state state, uint32_t id, json_t *configs)
{
	int status = 0;

	for (uint32_t i = 0; i < LB_CONFIG_IDS && !status; i++) {
		const struct config_cid *cid = config_find_cid(config, found->pool_number, i);

		if (cid && cid->state == state && (id == LB_CONFIG_RESERVED || id == i))
			status = tell_part(file, found->server, cid, configs);
	}
	return status;
}

static int tell_server(const char *file, const struct config *config,
		       const struct cid_server *found, uint32_t id)
{
	char address[INET6_ADDRSTRLEN];
	json_t *configs = json_array();
	size_t n_active;
	int status;

	out_text("server %s of pool %s, %s\n", found->server->name, found->pool->name,
		 config_address_text(&found->server->address, address));
	status = tell_parts(file, config, found, CONFIG_ACTIVE, id, configs);
	n_active = json_array_size(configs);
	if (!status)
		status = tell_parts(file, config, found, CONFIG_RETIRING, id, configs);
	if (!status && !n_active && id == LB_CONFIG_RESERVED)
		print_unconfigured();
	if (!status)
		out_json(json_pack("{s:s, s:s, s:s, s:O}", "schema", "shunt/server-config/1",
				   "server", found->server->name, "pool", found->pool->name,
				   "configs", configs));
	json_decref(configs);
	return status;
}

/* --config as an id that the server has; LB_CONFIG_RESERVED without it. */
static int parse_id(const char *text, const struct config *config, const struct cid_server *found,
		    uint32_t *id, char *problem)
{
	const struct config_cid *cid;
	char *end;

	*id = LB_CONFIG_RESERVED;
	if (!text)
		return 0;
	*id = strtoul(text, &end, 10);
	cid = *text && !*end && *id < LB_CONFIG_IDS ?
		      config_find_cid(config, found->pool_number, *id) :
		      NULL;
	if (cid && cid_server_id(found->server, cid))
		return 0;
	snprintf(problem, PROBLEM_SIZE, "%s has no id in config '%.40s'", found->server->name,
		 text);
	return -EINVAL;
}

static int run_server_config(const struct cli_common *common, const void *opaque, int argc,
			     char **argv)
{
	const struct server_options *options = opaque;
	char problem[PROBLEM_SIZE];
	struct config *config = NULL;
	struct cid_server found;
	uint32_t id;
	int status;

	(void)argc;
	status = report_load(common->config, &config);
	if (status)
		return status;
	if (cid_find_server(config, argv[0], &found, problem, sizeof(problem)) ||
	    parse_id(options->config, config, &found, &id, problem))
		status = out_usage(argv[0], problem);
	else
		status = tell_server(common->config, config, &found, id);
	config_free(config);
	return status;
}

static const struct cli_option keygen_table[] = {
	{ 'o', "output", CLI_STRING, offsetof(struct keygen_options, output), "FILE",
	  "a new file, mode 0600; prints the key's fingerprint" },
	{ 0, "raw", CLI_FLAG, offsetof(struct keygen_options, raw), NULL,
	  "16 octets (default: 32 hexadecimal digits)" },
	{ 0, "force", CLI_FLAG, offsetof(struct keygen_options, force), NULL,
	  "replace the file if there is one" },
	{ 0, "show", CLI_FLAG, offsetof(struct keygen_options, show), NULL,
	  "the key itself on a terminal, without -o" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_keygen = {
	.name = "keygen",
	.arguments = "",
	.summary = "a new random key for encrypted connection IDs",
	.details =
		"Without -o the key goes to standard output, for a pipe; to a terminal only with\n"
		"--show. A key in use is not replaced but rotated: a new config with a new key,\n"
		"balancers first, then servers, then the old config retires.",
	.options = keygen_table,
	.options_size = sizeof(struct keygen_options),
	.run = run_keygen,
};

static const struct cli_option server_table[] = {
	{ 0, "config", CLI_STRING, offsetof(struct server_options, config), "N",
	  "only this config (default: all, the active ones first)" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_server_config = {
	.name = "server-config",
	.arguments = "SERVER",
	.summary = "what a server must be told to write its connection IDs",
	.details =
		"SERVER is NAME or POOL/NAME. Each config in which it has an id: lengths, server\n"
		"ids, first octet, nonce, and the key by file and fingerprint, never the key.",
	.options = server_table,
	.options_size = sizeof(struct server_options),
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run_server_config,
};
