/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connection IDs: the draft's own, those of every legal pair of lengths, workers, config id 7. */
#include "common.h"
#include "vectors.h"

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint8_t key[SHUNT_CID_KEY_LENGTH], nonce[MAX_COUNTER],
			expected[SHUNT_CID_MAX_LENGTH];
		uint8_t cid[SHUNT_CID_MAX_LENGTH];
		struct shunt_cid_config config = { .config_id = (uint8_t)vectors[i].config_id };
		struct shunt_cid_info info;
		struct shunt_cid *s;
		size_t length;

		config.flags = vectors[i].described ? SHUNT_CID_DESCRIBE_LENGTH : 0;
		config.key = unhex(vectors[i].key, key) ? key : NULL;
		config.server_id_length = (uint8_t)unhex(vectors[i].server_id, config.server_id);
		config.nonce_length = (uint8_t)unhex(vectors[i].nonce, nonce);
		length = unhex(vectors[i].cid, expected);
		s = must_open(&config);
		info = must_decode(s, expected, length);
		assert_int_equal(info.owner, SHUNT_CID_OWN);
		assert_int_equal(info.config_id, expected[0] >> 5);
		assert_memory_equal(info.server_id, config.server_id, config.server_id_length);
		if (config.key) {
			memcpy(s->configs[config.config_id].counter.start, nonce,
			       config.nonce_length);
			assert_int_equal(must_issue(s, cid), length);
			assert_memory_equal(cid, expected, length);
		}
		/* One octet of the key, one of the server id: somebody else's. */
		shunt_cid_close(s);
		config.server_id[config.server_id_length - 1] ^= 1;
		s = must_open(&config);
		info = must_decode(s, expected, length);
		assert_int_equal(info.owner, SHUNT_CID_OTHER);
		shunt_cid_close(s);
	}
}

static void check_pair(unsigned int s_length, unsigned int n_length, bool keyed)
{
	struct shunt_cid_config config =
		make_config((s_length + n_length) % 7, s_length, n_length, keyed);
	size_t length = 1 + s_length + n_length;
	struct shunt_cid_config other = config;
	struct shunt_cid *s, *neighbour;

	other.server_id[s_length - 1] ^= 0x80;
	s = must_open(&config);
	neighbour = must_open(&other);
	assert_int_equal(shunt_cid_length(s, config.config_id), length);
	for (int i = 0; i < 200; i++) {
		uint8_t cid[SHUNT_CID_MAX_LENGTH + 4];
		struct shunt_cid_info info;

		assert_int_equal(must_issue(s, cid), length);
		assert_int_equal(cid[0] >> 5, config.config_id);
		info = must_decode(s, cid, length);
		assert_int_equal(info.owner, SHUNT_CID_OWN);
		assert_int_equal(info.server_id_length, s_length);
		assert_memory_equal(info.server_id, config.server_id, s_length);
		assert_int_equal(must_decode(s, cid, length + 4).owner, SHUNT_CID_OWN);
		assert_int_equal(must_decode(s, cid, length - 1).owner, SHUNT_CID_UNKNOWN);
		info = must_decode(neighbour, cid, length);
		assert_int_equal(info.owner, SHUNT_CID_OTHER);
		assert_memory_equal(info.server_id, config.server_id, s_length);
		cid[0] ^= 0x20;
		assert_true(must_decode(s, cid, length).owner == SHUNT_CID_UNKNOWN ||
			    must_decode(s, cid, length).owner == SHUNT_CID_RANDOM);
	}
	shunt_cid_close(neighbour);
	shunt_cid_close(s);
}

static void test_all_pairs(void **state)
{
	unsigned int pairs = 0;

	(void)state;
	for (unsigned int s = 1; s <= 15; s++) {
		for (unsigned int n = 4; n <= 18 && s + n <= 19; n++, pairs++) {
			check_pair(s, n, false);
			check_pair(s, n, true);
		}
	}
	assert_int_equal(pairs, 120);
}

static void test_length_bits(void **state)
{
	(void)state;
	for (int keyed = 0; keyed < 2; keyed++) {
		struct shunt_cid_config config = make_config(5, 3, 6, keyed);
		uint8_t cid[SHUNT_CID_MAX_LENGTH];
		unsigned int seen = 0;
		struct shunt_cid *s = must_open(&config);

		for (int i = 0; i < 2000; i++) {
			must_issue(s, cid);
			seen |= 1u << (cid[0] & 0x1f);
		}
		assert_int_equal(seen, 0xffffffff);
		shunt_cid_close(s);
		config.flags = SHUNT_CID_DESCRIBE_LENGTH;
		config.worker_length = 1;
		config.worker_key = test_key;
		s = must_open(&config);
		assert_int_equal(must_issue(s, cid), 11);
		assert_int_equal(cid[0], 5 << 5 | 10);
		shunt_cid_close(s);
	}
}

/* How many of the nonces are one more than the one before, read in either order of octets. */
static unsigned int count_steps(unsigned int n, bool keyed, unsigned int total)
{
	struct shunt_cid_config config = make_config(1, 2, n, keyed);
	uint8_t cid[SHUNT_CID_MAX_LENGTH] = { 0 }, last[SHUNT_CID_MAX_LENGTH];
	unsigned int steps = 0;
	struct shunt_cid *s = must_open(&config);

	for (unsigned int i = 0; i < total; i++) {
		memcpy(last, cid, sizeof(last));
		must_issue(s, cid);
		for (int end = 0; end < 2; end++) {
			unsigned int at = end ? 2 + n : 3;
			int step = (int)cid[at] - (int)last[at];

			steps += step >= -1 && step <= 1;
		}
	}
	shunt_cid_close(s);
	return steps;
}

/* Neither end of the nonce moves as a counter does: 3 of 256 by chance. */
static void test_unlinkable(void **state)
{
	(void)state;
	for (unsigned int n = 4; n <= 16; n += 4) {
		assert_in_range(count_steps(n, false, 10000), 100, 400);
		assert_in_range(count_steps(n, true, 10000), 100, 400);
	}
}

static void test_workers(void **state)
{
	(void)state;
	for (int keyed = 0; keyed < 2; keyed++) {
		struct shunt_cid_config config = make_config(2, 4, 8, keyed);
		unsigned int same = 0;
		uint8_t cid[SHUNT_CID_MAX_LENGTH], last[SHUNT_CID_MAX_LENGTH] = { 0 };
		struct shunt_cid_info info;
		struct shunt_cid *s, *plain;

		plain = must_open(&config);
		config.worker_length = 3;
		memcpy(config.worker, "\x00\x07\xff", 3);
		config.worker_key = keyed ? NULL : test_key;
		s = must_open(&config);
		for (int i = 0; i < 2000; i++) {
			assert_int_equal(must_issue(s, cid), 16);
			info = must_decode(s, cid, 16);
			assert_int_equal(info.owner, SHUNT_CID_OWN);
			assert_int_equal(info.worker_length, 3);
			assert_memory_equal(info.worker, config.worker, 3);
			same += cid[13] == last[13];
			memcpy(last, cid, sizeof(last));
			/* To a balancer they are surplus. */
			assert_int_equal(must_decode(plain, cid, 16).owner, SHUNT_CID_OWN);
		}
		/* 1 of 256 by chance. */
		assert_in_range(same, 0, 40);
		assert_int_equal(must_decode(s, cid, 13).worker_length, 0);
		shunt_cid_close(s);
		shunt_cid_close(plain);
	}
}

/* Two processes of one server that begin at the same nonce. */
static void test_workers_never_meet(void **state)
{
	struct shunt_cid_config config = make_config(2, 4, 8, true);
	uint8_t a[SHUNT_CID_MAX_LENGTH], b[SHUNT_CID_MAX_LENGTH];
	struct shunt_cid *first, *second;

	(void)state;
	config.worker_length = 1;
	first = must_open(&config);
	config.worker[0] = 1;
	second = must_open(&config);
	memcpy(second->configs[2].counter.start, first->configs[2].counter.start, MAX_COUNTER);
	for (int i = 0; i < 100; i++) {
		must_issue(first, a);
		must_issue(second, b);
		assert_memory_not_equal(a + 1, b + 1, 12);
	}
	shunt_cid_close(first);
	shunt_cid_close(second);
}

static void test_without_config(void **state)
{
	struct shunt_cid_config config = make_config(3, 1, 4, false);
	uint8_t cid[SHUNT_CID_MAX_LENGTH], last[SHUNT_CID_MAX_LENGTH] = { 0 };
	struct shunt_cid *s = must_open(NULL);
	size_t length = 7;

	(void)state;
	assert_int_equal(shunt_cid_active(s), SHUNT_CID_UNCONFIGURED);
	assert_int_equal(shunt_cid_rules(s), SHUNT_CID_ONE_ONLY | SHUNT_CID_NO_MIGRATION);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(must_issue(s, cid), 8);
		assert_int_equal(cid[0], 0xe7);
		assert_memory_not_equal(cid, last, 8);
		assert_int_equal(must_decode(s, cid, 8).owner, SHUNT_CID_RANDOM);
		memcpy(last, cid, 8);
	}
	assert_int_equal(shunt_cid_issue(s, cid, &length), SHUNT_CID_ERR_ROOM);
	assert_int_equal(shunt_cid_add_config(s, &config), 0);
	assert_int_equal(must_issue(s, cid), 8);
	assert_int_equal(shunt_cid_activate(s, 3), 0);
	assert_int_equal(must_issue(s, cid), 6);
	assert_int_equal(shunt_cid_rules(s), 0);
	shunt_cid_close(s);

	config = (struct shunt_cid_config){ .config_id = 7, .nonce_length = 19 };
	s = must_open(&config);
	assert_int_equal(must_issue(s, cid), 20);
	assert_int_equal(cid[0], 0xf3);
	shunt_cid_close(s);
}

static void test_rotation(void **state)
{
	struct shunt_cid_config config = make_config(0, 3, 5, true);
	uint8_t old[SHUNT_CID_MAX_LENGTH], cid[SHUNT_CID_MAX_LENGTH];
	struct shunt_cid *s = must_open(&config);
	size_t length = SHUNT_CID_MAX_LENGTH;

	(void)state;
	assert_int_equal(must_issue(s, old), 9);
	assert_int_equal(shunt_cid_add_config(s, &config), SHUNT_CID_ERR_HELD);
	assert_int_equal(shunt_cid_activate(s, 1), SHUNT_CID_ERR_NOT_HELD);
	config = make_config(1, 8, 8, true);
	assert_int_equal(shunt_cid_add_config(s, &config), 0);
	assert_int_equal(shunt_cid_active(s), 0);
	assert_int_equal(shunt_cid_activate(s, 1), 0);
	assert_int_equal(must_issue(s, cid), 17);
	assert_int_equal(must_decode(s, cid, 17).owner, SHUNT_CID_OWN);
	assert_int_equal(must_decode(s, old, 9).owner, SHUNT_CID_OWN);
	assert_int_equal(shunt_cid_issue_under(s, 0, cid, &length), 0);
	assert_int_equal(length, 9);
	assert_int_equal(shunt_cid_retire(s, 1), SHUNT_CID_ERR_ACTIVE);
	assert_int_equal(shunt_cid_retire(s, 0), 0);
	assert_int_equal(shunt_cid_retire(s, 0), SHUNT_CID_ERR_NOT_HELD);
	assert_int_equal(shunt_cid_length(s, 0), 0);
	assert_int_equal(must_decode(s, old, 9).owner, SHUNT_CID_UNKNOWN);
	assert_int_equal(shunt_cid_issue_under(s, 0, cid, &length), SHUNT_CID_ERR_NOT_HELD);
	for (size_t i = 0; i < sizeof(s->configs[0]); i++)
		assert_int_equal(((uint8_t *)&s->configs[0])[i], 0);
	shunt_cid_close(s);
}

static const struct {
	struct shunt_cid_config config;
	int error;
} refused[] = {
	{ { .config_id = 8, .server_id_length = 1, .nonce_length = 4 }, SHUNT_CID_ERR_CONFIG_ID },
	{ { .config_id = 7, .key = test_key }, SHUNT_CID_ERR_CONFIG_ID },
	{ { .config_id = 7, .server_id_length = 1 }, SHUNT_CID_ERR_SERVER_ID },
	{ { .config_id = 7, .nonce_length = 6 }, SHUNT_CID_ERR_LENGTH },
	{ { .config_id = 7, .nonce_length = 20 }, SHUNT_CID_ERR_LENGTH },
	{ { .nonce_length = 4 }, SHUNT_CID_ERR_SERVER_ID },
	{ { .server_id_length = 16, .nonce_length = 4 }, SHUNT_CID_ERR_SERVER_ID },
	{ { .server_id_length = 1, .nonce_length = 3 }, SHUNT_CID_ERR_NONCE },
	{ { .server_id_length = 1, .nonce_length = 19 }, SHUNT_CID_ERR_NONCE },
	{ { .server_id_length = 2, .nonce_length = 18 }, SHUNT_CID_ERR_LENGTH },
	{ { .server_id_length = 2, .nonce_length = 17, .worker_length = 1 }, SHUNT_CID_ERR_LENGTH },
	{ { .server_id_length = 2, .nonce_length = 8, .worker_length = 5 }, SHUNT_CID_ERR_WORKER },
	{ { .server_id_length = 2, .nonce_length = 5, .worker_length = 2, .key = test_key },
	  SHUNT_CID_ERR_WORKER },
	{ { .server_id_length = 2, .nonce_length = 5, .worker_length = 2 },
	  SHUNT_CID_ERR_WORKER_KEY },
	{ { .server_id_length = 2, .nonce_length = 5, .state_file = "x" },
	  SHUNT_CID_ERR_STATE_CLEAR },
	{ { .server_id_length = 2, .nonce_length = 5, .flags = 2 }, SHUNT_CID_ERR_ARGUMENT },
	{ { .server_id_length = 2, .nonce_length = 5, .reserved = { NULL, "" } },
	  SHUNT_CID_ERR_ARGUMENT },
};

static void test_refused(void **state)
{
	struct shunt_cid *s;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(shunt_cid_open(&refused[i].config, &s), refused[i].error);
		assert_null(s);
	}
	assert_int_equal(shunt_cid_open(NULL, NULL), SHUNT_CID_ERR_ARGUMENT);
	for (int error = 0; error >= SHUNT_CID_ERR_KEY_OWNER; error--)
		assert_string_not_equal(shunt_cid_strerror(error), "unknown error");
	assert_string_equal(shunt_cid_strerror(1), "unknown error");
	shunt_cid_close(NULL);
}

static void write_key(const char *path, const char *text, size_t length, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void expect_form(const char *path, const char *text, size_t length)
{
	uint8_t key[SHUNT_CID_KEY_LENGTH];

	write_key(path, text, length, 0600);
	assert_int_equal(shunt_cid_read_key(path, key), SHUNT_CID_ERR_KEY_FORM);
}

static void test_key_files(void **state)
{
	static const char hex[] = "000102030405060708090A0B0C0D0e0f\r\n";
	char path[] = "/tmp/shunt-cid-key-XXXXXX";
	uint8_t key[SHUNT_CID_KEY_LENGTH], expected[SHUNT_CID_KEY_LENGTH];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	for (unsigned int i = 0; i < sizeof(expected); i++)
		expected[i] = (uint8_t)i;
	write_key(path, (const char *)expected, 16, 0600);
	assert_int_equal(shunt_cid_read_key(path, key), 0);
	assert_memory_equal(key, expected, 16);
	for (size_t length = 32; length <= 34; length++) {
		memset(key, 0xff, sizeof(key));
		write_key(path, hex, length, 0400);
		assert_int_equal(chmod(path, 0600), 0);
		assert_int_equal(shunt_cid_read_key(path, key), 0);
		assert_memory_equal(key, expected, 16);
	}
	write_key(path, "000102030405060708090a0b0c0d0e0f\n", 33, 0600);
	assert_int_equal(shunt_cid_read_key(path, key), 0);
	assert_memory_equal(key, expected, 16);
	expect_form(path, hex, 0);
	expect_form(path, hex, 31);
	expect_form(path, "000102030405060708090a0b0c0d0e0g", 32);
	expect_form(path, "000102030405060708090a0b0c0d0e0f\r\n\n", 35);
	/* Cut off: in the middle, and with the line's end still there. */
	expect_form(path, hex, 16);
	expect_form(path, "000102030405060\n", 16);
	expect_form(path, "00010203040506\r\n", 16);
	write_key(path, "000102030405060g", 16, 0600);
	assert_int_equal(shunt_cid_read_key(path, key), 0);
	for (mode_t mode = 1; mode < 0100; mode <<= 1) {
		write_key(path, hex, 32, 0600 | mode);
		assert_int_equal(shunt_cid_read_key(path, key), SHUNT_CID_ERR_KEY_EXPOSED);
	}
	unlink(path);
	assert_int_equal(shunt_cid_read_key(path, key), SHUNT_CID_ERR_KEY_OPEN);
	assert_int_equal(shunt_cid_read_key("/", key), SHUNT_CID_ERR_KEY_FORM);
}

/* Root's is anybody's key; of another user's nobody knows who else has it. */
static void test_owner_of_key_files(void **state)
{
	enum { NOBODY = 65534, SOMEBODY = 65533 };
	char path[] = "/tmp/shunt-cid-key-XXXXXX";
	uint8_t key[SHUNT_CID_KEY_LENGTH];
	int fd;

	(void)state;
	if (geteuid())
		skip();
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	write_key(path, "000102030405060708090a0b0c0d0e0f", 32, 0600);
	assert_int_equal(chown(path, NOBODY, (gid_t)-1), 0);
	assert_int_equal(shunt_cid_read_key(path, key), SHUNT_CID_ERR_KEY_OWNER);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(shunt_cid_read_key(path, key), 0);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chown(path, SOMEBODY, (gid_t)-1), 0);
	assert_int_equal(shunt_cid_read_key(path, key), SHUNT_CID_ERR_KEY_OWNER);
	assert_int_equal(chown(path, 0, (gid_t)-1), 0);
	assert_int_equal(shunt_cid_read_key(path, key), 0);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_all_pairs),
		cmocka_unit_test(test_length_bits),
		cmocka_unit_test(test_unlinkable),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_workers_never_meet),
		cmocka_unit_test(test_without_config),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_key_files),
		cmocka_unit_test(test_owner_of_key_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
