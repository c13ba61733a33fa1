/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Key files and what becomes of the keys: which files are refused and why, and that a key goes
 * nowhere but into the configuration in memory.
 *
 * Links: config.c config_yaml.c config_tree.c config_read.c config_schema.c config_check.c config_ways.c config_nat.c config_risks.c config_json.c config_pack.c config_diff.c config_match.c config_address.c config_keys.c index.c keys.c memory.c pack.c
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_again.h"
#include "keys.h"

#define HEX "8f95f09245765f80256934e50c66207f" /* of the draft's vectors */
#define RAW "\x8f\x95\xf0\x92\x45\x76\x5f\x80\x25\x69\x34\xe5\x0c\x66\x20\x7f"
#define KCV "d59d5b"

struct folder {
	char path[64];
};

static int make_folder(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	strcpy(folder->path, "/tmp/shunt-keys-XXXXXX");
	*state = folder;
	return mkdtemp(folder->path) ? 0 : -1;
}

static int remove_folder(void **state)
{
	struct folder *folder = *state;
	int error = rmdir(folder->path);

	free(folder);
	return error;
}

static const char *in(const struct folder *folder, const char *name)
{
	static char path[2][128];
	static int turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder->path, name);
	return path[turn];
}

static void write_file(const char *path, const char *text, size_t n, mode_t mode)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

struct file {
	const char *text;
	size_t n;
	mode_t mode;
	const char *problem; /* NULL: the key above */
};

#define TEXT(text) text, sizeof(text) - 1
static const struct file files[] = {
	{ TEXT(RAW), 0600, NULL },
	{ TEXT(RAW), 0400, NULL },
	{ TEXT(HEX), 0600, NULL },
	{ TEXT(HEX "\n"), 0600, NULL },
	{ TEXT(HEX "\r\n"), 0600, NULL },
	{ TEXT("8F95F09245765F80256934E50C66207F"), 0600, NULL },
	{ TEXT(""), 0600, "has 0 octets" },
	{ TEXT("\n"), 0600, "has 1 octet:" },
	{ TEXT("\x8f\x95"), 0600, "has 2 octets" },
	{ TEXT(RAW "\n"), 0600, "has 17 octets" },
	{ TEXT(RAW RAW), 0600, "has 32 octets" },
	{ TEXT(HEX "\n\n"), 0600, "has 34 octets" },
	{ TEXT(HEX " \n"), 0600, "has 34 octets" },
	{ TEXT(HEX HEX), 0600, "is too long" },
	{ TEXT("8f95f09245765f80"), 0600, "has 16 hexadecimal digits" },
	{ TEXT("8f95f09245765f8\n"), 0600, "has 15 hexadecimal digits" },
	{ TEXT("8f95f09245765f80256934e50c66207"), 0600, "has 31 hexadecimal digits" },
	{ TEXT("8f:95:f0:92:45:76:5f:80:25:69:34:e5:0c:66:20:7f"), 0600, "is too long" },
	{ TEXT(HEX), 0644, "open to others (mode 0644)" },
	{ TEXT(HEX), 0640, "open to others" },
	{ TEXT(HEX), 0620, "open to others" },
	{ TEXT(HEX), 0602, "open to others" },
	{ TEXT(HEX), 0601, "open to others" },
};

static void check_file(const struct folder *folder, const struct file *file)
{
	uint8_t key[KEYS_SIZE] = {};
	char problem[128] = "";
	int error;

	write_file(in(folder, "key"), file->text, file->n, file->mode);
	error = keys_read(folder->path, "key", key, problem, sizeof(problem));
	if (file->problem && (!error || !strstr(problem, file->problem)))
		fail_msg("'%s' is not told, but '%s'", file->problem, problem);
	if (!file->problem && error)
		fail_msg("refused: %s", problem);
	if (!file->problem)
		assert_memory_equal(key, RAW, KEYS_SIZE);
	assert_int_equal(unlink(in(folder, "key")), 0);
}

static void files_that_are_keys_and_those_that_are_not(void **state)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		check_file(*state, &files[i]);
}

static void expect_problem(const struct folder *folder, const char *name, const char *expected)
{
	uint8_t key[KEYS_SIZE];
	char problem[128] = "";

	assert_true(keys_read(folder->path, name, key, problem, sizeof(problem)) < 0);
	if (!strstr(problem, expected))
		fail_msg("'%s' is not told, but '%s'", expected, problem);
}

static void what_is_no_file(void **state)
{
	const struct folder *folder = *state;
	const struct folder nowhere = { "/nonexistent" };

	expect_problem(folder, "nix", "No such file");
	expect_problem(&nowhere, "key", "No such file");
	expect_problem(folder, ".", "not a regular file");
	expect_problem(folder, "/dev/zero", "not a regular file");
	assert_int_equal(mkfifo(in(folder, "fifo"), 0600), 0);
	expect_problem(folder, "fifo", "not a regular file");
	assert_int_equal(unlink(in(folder, "fifo")), 0);
	assert_int_equal(symlink("loop", in(folder, "loop")), 0);
	expect_problem(folder, "loop", "symbolic links");
	assert_int_equal(unlink(in(folder, "loop")), 0);
}

static void a_stranger_s_file(void **state)
{
	const struct folder *folder = *state;

	if (geteuid())
		skip();
	write_file(in(folder, "key"), TEXT(HEX), 0600);
	assert_int_equal(chown(in(folder, "key"), 12345, 0), 0);
	expect_problem(folder, "key", "belongs to user 12345");
	assert_int_equal(unlink(in(folder, "key")), 0);
}

static void no_core_after_a_key(void **state)
{
	const struct folder *folder = *state;
	struct rlimit limit = { 4096, RLIM_INFINITY };
	uint8_t key[KEYS_SIZE];
	char problem[128];

	getrlimit(RLIMIT_CORE, &limit);
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
	write_file(in(folder, "key"), TEXT(HEX), 0600);
	assert_int_equal(keys_read(folder->path, "key", key, problem, sizeof(problem)), 0);
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
	getrlimit(RLIMIT_CORE, &limit);
	assert_int_equal(limit.rlim_cur, 0);
	assert_int_equal(unlink(in(folder, "key")), 0);
}

/* Two tenants with config 1 each, and one config for both. */
static const char text[] =
	"version: 1\n"
	"cid_configs:\n"
	"- {id: 1, server_id_length: 8, nonce_length: 8, pool: red, key_file: a.key}\n"
	"- {id: 1, server_id_length: 3, nonce_length: 6, pool: blue, key_file: b.key}\n"
	"- {id: 2, server_id_length: 3, nonce_length: 6, state: retiring, length_check: equal}\n"
	"rotation: {min_quiet: 30}\n"
	"pools:\n"
	"- {name: red, servers: [{name: a, address: 10.0.0.1,"
	" server_ids: [{config: 1, id: '0000000000000001'}, {config: 2, id: 000001}]}]}\n"
	"- {name: blue, servers: [{name: a, address: 10.0.0.2,"
	" server_ids: [{config: 1, id: 000001}, {config: 2, id: 000002}, {config: 2, id: 000003}]}]}\n"
	"vips: [{name: r, address: 10.1.0.1, port: 443, pool: red},"
	" {name: b, address: 10.1.0.2, port: 443, pool: blue}]\n";

static struct config *load(const struct folder *folder, struct config_findings *findings)
{
	struct config *config;

	write_file(in(folder, "shunt.yaml"), text, sizeof(text) - 1, 0644);
	if (config_load(in(folder, "shunt.yaml"), &config, findings))
		assert_null(config);
	assert_int_equal(unlink(in(folder, "shunt.yaml")), 0);
	return config;
}

static struct config *load_valid(const struct folder *folder)
{
	struct config_findings findings = {};
	struct config *config;

	write_file(in(folder, "a.key"), TEXT(RAW), 0600);
	write_file(in(folder, "b.key"), TEXT("00112233445566778899aabbccddeeff\n"), 0400);
	config = load(folder, &findings);
	assert_int_equal(findings.n, 0);
	assert_non_null(config);
	config_findings_free(&findings);
	assert_int_equal(unlink(in(folder, "a.key")), 0);
	assert_int_equal(unlink(in(folder, "b.key")), 0);
	return config;
}

static void keys_of_a_file(void **state)
{
	struct config *config = load_valid(*state);
	char text[CONFIG_KEY_TEXT] = "";

	assert_null(config_key_text(&config->cids[2], text));
	assert_string_equal(text, "");
	assert_true(config->cids[0].keyed);
	assert_memory_equal(config->cids[0].key, RAW, CONFIG_KEY_SIZE);
	assert_string_equal(config->cids[0].fingerprint, KCV);
	assert_string_equal(config->cids[0].key_file, "a.key");
	assert_string_equal(config_algorithm(&config->cids[0]), "single-pass");
	assert_string_equal(config_algorithm(&config->cids[1]), "four-pass");
	assert_string_equal(config_algorithm(&config->cids[2]), "clear");
	assert_int_equal(config->cids[1].pool, 1);
	assert_int_equal(config->cids[2].length_check, LB_LENGTH_EQUAL);
	assert_int_equal(config->min_quiet, 30);
	assert_ptr_equal(config_find_cid(config, 0, 1), &config->cids[0]);
	assert_ptr_equal(config_find_cid(config, 1, 1), &config->cids[1]);
	assert_ptr_equal(config_find_cid(config, 1, 2), &config->cids[2]);
	assert_null(config_find_cid(config, 1, 3));
	config_free(config);
}

static void every_key_file_has_its_finding(void **state)
{
	const struct folder *folder = *state;
	struct config_findings findings = {};

	write_file(in(folder, "a.key"), TEXT(RAW), 0640);
	assert_null(load(folder, &findings));
	assert_int_equal(findings.errors, 2);
	assert_string_equal(findings.list[0].path, "cid_configs[0].key_file");
	assert_non_null(strstr(findings.list[0].text, "a.key is open to others"));
	assert_string_equal(findings.list[1].path, "cid_configs[1].key_file");
	assert_non_null(strstr(findings.list[1].text, "b.key cannot be read: No such file"));
	config_findings_free(&findings);
	assert_int_equal(unlink(in(folder, "a.key")), 0);
}

static void odds_count_what_the_pool_sees(void **state)
{
	struct config *config = load_valid(*state);

	assert_true(config_random_odds(config, 0) > 0.9 / 8 / (1 << 24));
	assert_true(config_random_odds(config, 0) < 1.1 / 8 / (1 << 24));
	assert_true(config_random_odds(config, 1) > 2.9 / 8 / (1 << 24));
	assert_true(config_random_odds(config, 1) < 3.1 / 8 / (1 << 24));
	config_free(config);
}

static void json_has_the_fingerprint_alone(void **state)
{
	struct config *config = load_valid(*state), *again = config_again(config);
	json_t *json = config_to_json(config), *json_again, *changes;
	const json_t *cid = json_array_get(json_object_get(json, "cid_configs"), 0);
	char *dump = json_dumps(json, 0);

	assert_null(strstr(dump, HEX));
	assert_string_equal(json_string_value(json_object_get(cid, "key")), "kcv:" KCV);
	assert_string_equal(json_string_value(json_object_get(cid, "key_file")), "a.key");
	assert_string_equal(json_string_value(json_object_get(cid, "algorithm")), "single-pass");
	assert_true(again->cids[0].keyed);
	assert_false(again->cids[2].keyed);
	assert_memory_equal(again->cids[0].key, (char[CONFIG_KEY_SIZE]){}, CONFIG_KEY_SIZE);
	json_again = config_to_json(again);
	assert_true(json_equal(json, json_again));
	changes = config_diff(config, again);
	assert_int_equal(json_array_size(changes), 0);
	json_decref(changes);
	free(dump);
	json_decref(json_again);
	json_decref(json);
	config_free(again);
	config_free(config);
}

static void a_key_is_a_difference_and_its_place_is_none(void **state)
{
	struct config *before = load_valid(*state), *after = load_valid(*state);
	const json_t *change;
	json_t *changes;

	strcpy(after->cids[0].key_file, "/elsewhere");
	changes = config_diff(before, after);
	assert_int_equal(json_array_size(changes), 0);
	json_decref(changes);
	strcpy(after->cids[0].fingerprint, "123456");
	after->min_quiet = 31;
	changes = config_diff(before, after);
	assert_int_equal(json_array_size(changes), 2);
	change = json_array_get(changes, 1);
	assert_string_equal(json_string_value(json_object_get(change, "path")),
			    "cid_configs.1@red");
	assert_string_equal(json_string_value(json_object_get(change, "field")), "key");
	json_decref(changes);
	config_free(before);
	config_free(after);
}

static void where_a_key_file_is(void **state)
{
	struct config_cid cid = { .key_file = "a.key" };
	char path[32];

	(void)state;
	assert_int_equal(config_key_path(&cid, "/etc/shunt/shunt.yaml", path, sizeof(path)), 0);
	assert_string_equal(path, "/etc/shunt/a.key");
	assert_int_equal(config_key_path(&cid, "shunt.yaml", path, sizeof(path)), 0);
	assert_string_equal(path, "a.key");
	assert_int_equal(config_key_path(&cid, "/s", path, sizeof(path)), 0);
	assert_string_equal(path, "/a.key");
	assert_int_equal(config_key_path(&cid, "/etc/shunt/s", path, 5), -ENAMETOOLONG);
	strcpy(cid.key_file, "/a.key");
	assert_int_equal(config_key_path(&cid, "/etc/shunt/s", path, sizeof(path)), 0);
	assert_string_equal(path, "/a.key");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_that_are_keys_and_those_that_are_not),
		TEST(what_is_no_file),
		TEST(a_stranger_s_file),
		TEST(no_core_after_a_key),
		TEST(keys_of_a_file),
		TEST(every_key_file_has_its_finding),
		TEST(odds_count_what_the_pool_sees),
		TEST(json_has_the_fingerprint_alone),
		TEST(a_key_is_a_difference_and_its_place_is_none),
		cmocka_unit_test(where_a_key_file_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
