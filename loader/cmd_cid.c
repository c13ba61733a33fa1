/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * decode and encode: what a connection ID says by the configuration, and one for a server.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cid.h"
#include "cli.h"
#include "config.h"
#include "names.h"
#include "out.h"
#include "report.h"

#define PROBLEM_SIZE 320
#define HEX_SIZE     (2 * CID_MAX_OCTETS + 1)

static int no_memory(void)
{
	struct reason reason = {};

	reason_set(&reason, REASON_UNKNOWN, "memory", ENOMEM, NULL);
	return out_fail(&reason);
}

static json_t *error_json(const char *key, const char *text, const char *problem)
{
	return json_pack("{s:o, s:o}", key, out_string(text), "error", out_string(problem));
}

/*
 * Each line of stdin without its end to `each`, which answers with one object. The answers come line
 * by line, so that the other end of a pipe may wait for each.
 */
static int each_line(json_t *(*each)(void *job, char *line), void *job, const char *key)
{
	size_t room = 0;
	char *line = NULL;
	ssize_t n;

	out.json = true;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((n = getline(&line, &room, stdin)) >= 0) {
		if ((size_t)n != strlen(line)) {
			out_json_line(error_json(key, line, "there is a NUL octet in it"));
			continue;
		}
		while (n && strchr(" \t\r\n", line[n - 1]))
			line[--n] = '\0';
		out_json_line(each(job, line + strspn(line, " \t")));
	}
	free(line);
	return 0;
}

/* Octets in hexadecimal as an argument. Their number, or -EINVAL with a problem. */
static int parse_hex(const char *text, uint8_t *octets, size_t max, char *problem)
{
	int n = config_hex_parse(text, octets, max);

	if (n == -ENOSPC)
		snprintf(problem, PROBLEM_SIZE, "more than %zu octets", max);
	else if (n < 0)
		snprintf(problem, PROBLEM_SIZE, "not octets in hexadecimal, two digits each");
	return n < 0 ? -EINVAL : n;
}

static json_t *part_json(const struct cid_part *part)
{
	char hex[HEX_SIZE];

	return json_string(config_hex_text(part->octets, part->n, hex));
}

/* "1 in 4096 random connection IDs", "1 in 2^43 …", "no random connection ID". */
static const char *odds_text(double odds, char *buffer, size_t size)
{
	if (odds <= 0)
		return "no random connection ID";
	if (odds > 1e-9)
		snprintf(buffer, size, "1 in %.0f random connection IDs", 1 / odds);
	else
		snprintf(buffer, size, "1 in 2^%.0f random connection IDs", -log2(odds));
	return buffer;
}

static json_t *decoded_json(const uint8_t *octets, size_t n, const struct cid_explained *explained)
{
	struct cid_part cid = { octets, n };
	json_t *json = json_pack("{s:o, s:b, s:s, s:o, s:s?}", "cid", part_json(&cid), "routable",
				 explained->reason == LB_REASON_cid, "reason",
				 names_reason(explained->reason), "config",
				 n ? json_integer(octets[0] >> 5) : json_null(), "algorithm",
				 explained->config ? config_algorithm(explained->config) : NULL);

	json_object_set_new(json, "server_id",
			    explained->config ? part_json(&explained->server_id) : json_null());
	json_object_set_new(json, "nonce",
			    explained->config ? part_json(&explained->nonce) : json_null());
	json_object_set_new(json, "extra",
			    explained->config ? part_json(&explained->extra) : json_null());
	json_object_set_new(json, "pool",
			    explained->pool ? json_string(explained->pool->name) : json_null());
	json_object_set_new(json, "server",
			    explained->server ? json_string(explained->server->name) : json_null());
	json_object_set_new(json, "random_odds", json_real(explained->odds));
	return json;
}

static void print_part(const char *what, const struct cid_part *part, const char *about)
{
	char hex[HEX_SIZE];

	if (part->n)
		out_text("%-14s %s%s\n", what, config_hex_text(part->octets, part->n, hex), about);
}

static void print_config(uint32_t id, const struct config_cid *config)
{
	char key[CONFIG_KEY_TEXT];

	if (!config)
		out_text("config         %u\n", id);
	else
		out_text("config         %u, %s%s%s%s\n", id, config_algorithm(config),
			 config->keyed ? ", key " : "",
			 config->keyed ? config_key_text(config, key) : "",
			 config->state == CONFIG_RETIRING ? ", retiring" : "");
}

static void print_decoded(const uint8_t *octets, size_t n, const struct cid_explained *explained)
{
	char hex[HEX_SIZE], address[INET6_ADDRSTRLEN], odds[48];

	out_text("connection id  %s\n", n ? config_hex_text(octets, n, hex) : "(empty)");
	out_text("routed         %s (%s)\n", names_reason_help(explained->reason),
		 names_reason(explained->reason));
	if (n)
		print_config(octets[0] >> 5, explained->config);
	print_part("server id", &explained->server_id, "");
	print_part("nonce", &explained->nonce, "");
	print_part("beyond it", &explained->extra, ", the server's own");
	if (explained->server)
		out_text("server         %s of pool %s, %s\n", explained->server->name,
			 explained->pool->name,
			 config_address_text(&explained->server->address, address));
	if (explained->odds_pool)
		out_text("by chance      %s hits a server of pool %s\n",
			 odds_text(explained->odds, odds, sizeof(odds)),
			 explained->odds_pool->name);
}

/* A CID in hexadecimal, explained. Its length, or -EINVAL with the problem. */
static int explain_text(const struct cid_index *index, const char *text, uint8_t *octets,
			struct cid_explained *explained, char *problem)
{
	int n = parse_hex(text, octets, CID_MAX_OCTETS, problem);

	if (n < 0)
		return n;
	cid_explain(index, octets, n, explained);
	if (!explained->needs_pool)
		return n;
	snprintf(problem, PROBLEM_SIZE,
		 "config %u is another one from pool to pool: say --pool NAME", octets[0] >> 5);
	return -EINVAL;
}

static json_t *decode_line(void *index, char *line)
{
	struct cid_explained explained;
	uint8_t octets[CID_MAX_OCTETS];
	char problem[PROBLEM_SIZE];
	int n = explain_text(index, line, octets, &explained, problem);

	return n < 0 ? error_json("cid", line, problem) : decoded_json(octets, n, &explained);
}

static int decode_one(const struct cid_index *index, const char *text)
{
	struct cid_explained explained;
	uint8_t octets[CID_MAX_OCTETS];
	char problem[PROBLEM_SIZE];
	int n = explain_text(index, text, octets, &explained, problem);
	json_t *json;

	if (n < 0)
		return out_usage(text, problem);
	print_decoded(octets, n, &explained);
	json = json_pack("{s:s}", "schema", "shunt/decode/1");
	json_object_update_new(json, decoded_json(octets, n, &explained));
	out_json(json);
	return 0;
}

struct decode_options {
	const char *pool;
};

/* --pool as an index; CONFIG_NO_POOL without it. -EINVAL: there is no such pool. */
static int find_pool(const struct config *config, const char *name, uint32_t *pool)
{
	*pool = CONFIG_NO_POOL;
	if (!name)
		return 0;
	for (uint32_t i = 0; i < config->n_pools; i++)
		if (!strcmp(config->pools[i].name, name))
			*pool = i;
	return *pool == CONFIG_NO_POOL ? -EINVAL : 0;
}

static int run_decode(const struct cli_common *common, const void *opaque, int argc, char **argv)
{
	const struct decode_options *options = opaque;
	struct cid_index *index = NULL;
	struct config *config = NULL;
	uint32_t pool;
	int status;

	(void)argc;
	status = report_load(common->config, &config);
	if (status)
		return status;
	if (find_pool(config, options->pool, &pool))
		status = out_usage(options->pool, "there is no such pool in the file");
	else if (cid_index_open(config, pool, &index))
		status = no_memory();
	else if (!strcmp(argv[0], "-"))
		status = each_line(decode_line, index, "cid");
	else
		status = decode_one(index, argv[0]);
	cid_index_close(index);
	config_free(config);
	return status;
}

struct encode_options {
	const char *config, *nonce, *extra;
	bool no_length;
};

struct encode_job {
	const struct config *config;
	const struct encode_options *options;
	uint8_t extra[LB_CID_MAX];
	struct cid_part extra_part;
};

/* One CID to be made, as the user asks for it. */
struct wish {
	const char *server, *config, *nonce; /* NULL: not said */
};

static int choose_given(const struct config *config, const struct cid_server *found,
			const char *text, struct cid_request *request, char *problem)
{
	char *end;
	unsigned long id = strtoul(text, &end, 10);

	if (*text && !*end && id < LB_CONFIG_IDS)
		request->config = config_find_cid(config, found->pool_number, id);
	if (!request->config) {
		snprintf(problem, PROBLEM_SIZE,
			 "there is no config '%.40s' for its pool in the file", text);
		return -EINVAL;
	}
	request->server_id = cid_server_id(found->server, request->config);
	if (!request->server_id)
		snprintf(problem, PROBLEM_SIZE, "%s has no id in config %lu", found->server->name,
			 id);
	return request->server_id ? 0 : -EINVAL;
}

/* The first active config in which the server has an id. */
static int choose_active(const struct config *config, const struct cid_server *found,
			 struct cid_request *request, char *problem)
{
	for (uint32_t i = 0; i < config->n_cids; i++) {
		const struct config_cid *cid = &config->cids[i];

		if (cid->state != CONFIG_ACTIVE ||
		    config_find_cid(config, found->pool_number, cid->id) != cid)
			continue;
		request->config = cid;
		request->server_id = cid_server_id(found->server, cid);
		if (request->server_id)
			return 0;
	}
	snprintf(problem, PROBLEM_SIZE, "%s has no id in an active config", found->server->name);
	return -EINVAL;
}

static int choose_nonce(const char *text, struct cid_request *request, uint8_t *octets,
			char *problem)
{
	int n;

	if (!text)
		return 0;
	n = parse_hex(text, octets, LB_NONCE_MAX, problem);
	if (n < 0)
		return n;
	if (n != request->config->nonce_length) {
		snprintf(problem, PROBLEM_SIZE, "the nonce has %d octets; config %u wants %u", n,
			 request->config->id, request->config->nonce_length);
		return -EINVAL;
	}
	request->nonce = (struct cid_part){ octets, n };
	return 0;
}

/* *json: the answer. 0, or -EINVAL with the problem. */
static int encode(const struct encode_job *job, const struct wish *wish, json_t **json,
		  char *problem)
{
	struct cid_request request = { .extra = job->extra_part,
				       .no_length = job->options->no_length };
	uint8_t given[LB_NONCE_MAX], nonce[LB_NONCE_MAX], octets[LB_CID_MAX];
	struct cid_part cid, id, used;
	struct cid_server found;
	int n;

	if (cid_find_server(job->config, wish->server, &found, problem, PROBLEM_SIZE) ||
	    (wish->config ? choose_given(job->config, &found, wish->config, &request, problem) :
			    choose_active(job->config, &found, &request, problem)) ||
	    choose_nonce(wish->nonce, &request, given, problem))
		return -EINVAL;
	n = cid_make(&request, octets, nonce);
	if (n == -EMSGSIZE)
		snprintf(problem, PROBLEM_SIZE, "with --extra it is longer than %d octets",
			 LB_CID_MAX);
	else if (n < 0)
		snprintf(problem, PROBLEM_SIZE, "no random octets: %s", strerror(-n));
	if (n < 0)
		return -EINVAL;
	cid = (struct cid_part){ octets, n };
	id = (struct cid_part){ request.server_id->id, request.server_id->length };
	used = (struct cid_part){ nonce, request.config->nonce_length };
	*json = json_pack("{s:o, s:i, s:s, s:o, s:o, s:s, s:s}", "cid", part_json(&cid), "config",
			  request.config->id, "algorithm", config_algorithm(request.config),
			  "server_id", part_json(&id), "nonce", part_json(&used), "server",
			  found.server->name, "pool", found.pool->name);
	return 0;
}

/* "SERVER [CONFIG [NONCE]]" */
static json_t *encode_line(void *opaque, char *line)
{
	const struct encode_job *job = opaque;
	struct wish wish = { .config = job->options->config, .nonce = job->options->nonce };
	char problem[PROBLEM_SIZE], *rest, *word;
	json_t *json;

	wish.server = strtok_r(line, " \t", &rest);
	if (!wish.server)
		return error_json("server", "", "SERVER [CONFIG [NONCE]] is expected");
	word = strtok_r(NULL, " \t", &rest);
	wish.config = word ? word : wish.config;
	word = word ? strtok_r(NULL, " \t", &rest) : NULL;
	wish.nonce = word ? word : wish.nonce;
	if (word && strtok_r(NULL, " \t", &rest))
		return error_json("server", wish.server, "more than SERVER CONFIG NONCE");
	if (encode(job, &wish, &json, problem))
		return error_json("server", wish.server, problem);
	return json;
}

static int encode_one(const struct encode_job *job, const char *server)
{
	struct wish wish = { server, job->options->config, job->options->nonce };
	char problem[PROBLEM_SIZE];
	json_t *json, *document;

	if (encode(job, &wish, &json, problem))
		return out_usage(server, problem);
	out_text("%s\n", json_string_value(json_object_get(json, "cid")));
	document = json_pack("{s:s}", "schema", "shunt/encode/1");
	json_object_update_new(document, json);
	out_json(document);
	return 0;
}

static int run_encode(const struct cli_common *common, const void *options, int argc, char **argv)
{
	struct encode_job job = { .options = options };
	char problem[PROBLEM_SIZE];
	struct config *config = NULL;
	int n = 0, status;

	(void)argc;
	if (job.options->extra)
		n = parse_hex(job.options->extra, job.extra, sizeof(job.extra), problem);
	if (n < 0)
		return out_usage("--extra", problem);
	job.extra_part = (struct cid_part){ job.extra, n };
	status = report_load(common->config, &config);
	if (status)
		return status;
	job.config = config;
	if (!strcmp(argv[0], "-"))
		status = each_line(encode_line, &job, "server");
	else
		status = encode_one(&job, argv[0]);
	config_free(config);
	return status;
}

static const struct cli_option encode_table[] = {
	{ 0, "config", CLI_STRING, offsetof(struct encode_options, config), "N",
	  "by this config (default: the first active one in which it has an id)" },
	{ 0, "nonce", CLI_STRING, offsetof(struct encode_options, nonce), "HEX",
	  "this nonce (default: random)" },
	{ 0, "extra", CLI_STRING, offsetof(struct encode_options, extra), "HEX",
	  "octets behind the nonce, the server's own" },
	{ 0, "no-length", CLI_FLAG, offsetof(struct encode_options, no_length), NULL,
	  "the first octet does not tell the length" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

static const struct cli_option decode_table[] = {
	{ 0, "pool", CLI_STRING, offsetof(struct decode_options, pool), "NAME",
	  "in a packet for a VIP of this pool (default: of the pool of its server)" },
	{ 0, NULL, CLI_FLAG, 0, NULL, NULL },
};

const struct cli_command cmd_decode = {
	.name = "decode",
	.arguments = "CID|-",
	.summary = "what a connection ID says: config, server id, nonce, server",
	.details = "CID is in hexadecimal; colons may stand between octets. With \"-\": one CID a\n"
		   "line on stdin, one JSON object a line on stdout; a line that is no CID gets\n"
		   "{\"cid\": …, \"error\": …}. A server counts only for VIPs of its pool. Judged\n"
		   "as in a long header. random_odds: how likely a random one hits a server.",
	.options = decode_table,
	.options_size = sizeof(struct decode_options),
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run_decode,
};

const struct cli_command cmd_encode = {
	.name = "encode",
	.arguments = "SERVER|-",
	.summary = "a connection ID for a server of the file, for tests",
	.details = "SERVER is NAME or POOL/NAME. With \"-\": lines \"SERVER [CONFIG [NONCE]]\" on\n"
		   "stdin, one JSON object a line on stdout.",
	.options = encode_table,
	.options_size = sizeof(struct encode_options),
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run_encode,
};
