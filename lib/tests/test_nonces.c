/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* That no nonce of a key comes twice: around the end of the numbers, over restarts and crashes. */
#include "common.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[] = "/tmp/shunt-cid-XXXXXX";
static char file[sizeof(folder) + 8];

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof(file), "%s/state", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(folder);
}

static int remove_file(void **state)
{
	(void)state;
	unlink(file);
	return 0;
}

static struct shunt_cid_config kept_config(void)
{
	struct shunt_cid_config config = make_config(4, 1, 4, true);

	config.state_file = file;
	return config;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 5);
}

static void test_a_million_around_the_end(void **state)
{
	enum { MILLION = 1000000 };
	struct shunt_cid_config config = make_config(4, 1, 4, true);
	struct shunt_cid *s = must_open(&config);
	uint8_t(*bodies)[5] = calloc(MILLION, 5);

	(void)state;
	assert_non_null(bodies);
	memcpy(counter_of(s)->start, "\xff\xff\xf0\x00", 4);
	for (unsigned int i = 0; i < MILLION; i++) {
		uint8_t cid[SHUNT_CID_MAX_LENGTH];

		must_issue(s, cid);
		assert_int_equal(nonce_of(cid), 0xfffff000u + i);
		memcpy(bodies[i], cid + 1, 5);
	}
	qsort(bodies, MILLION, 5, compare);
	for (unsigned int i = 1; i < MILLION; i++)
		assert_memory_not_equal(bodies[i - 1], bodies[i], 5);
	free(bodies);
	shunt_cid_close(s);
}

/* Where the counter starts nobody can tell: 8 of 8 equal starts would be a constant. */
static void test_start_is_random(void **state)
{
	uint32_t seen[8];

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct shunt_cid_config config = make_config(4, 1, 4, true);
		struct shunt_cid *s = must_open(&config);
		uint8_t cid[SHUNT_CID_MAX_LENGTH];

		must_issue(s, cid);
		seen[i] = nonce_of(cid);
		shunt_cid_close(s);
	}
	for (int i = 1; i < 8; i++)
		assert_int_not_equal(seen[i], seen[0]);
}

static void test_exhaustion(void **state)
{
	struct shunt_cid_config config = make_config(4, 1, 4, true);
	struct shunt_cid *s = must_open(&config);
	uint8_t cid[SHUNT_CID_MAX_LENGTH];
	uint32_t first;
	uint64_t left;
	size_t length = sizeof(cid);

	(void)state;
	must_issue(s, cid);
	first = nonce_of(cid);
	counter_of(s)->next = ((uint64_t)1 << 32) - 2;
	assert_int_equal(shunt_cid_left(s, 4, &left), 0);
	assert_int_equal(left, 2);
	must_issue(s, cid);
	must_issue(s, cid);
	assert_int_equal(nonce_of(cid), first - 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(shunt_cid_issue(s, cid, &length), SHUNT_CID_ERR_EXHAUSTED);
	assert_int_equal(shunt_cid_left(s, 4, &left), 0);
	assert_int_equal(left, 0);
	assert_int_equal(shunt_cid_activate(s, SHUNT_CID_UNCONFIGURED), 0);
	assert_int_equal(must_issue(s, cid), 8);
	shunt_cid_close(s);
}

/* The first nonce of a process's life, after which it issues some more and ends as told. */
static uint32_t live(unsigned int issued, bool crash)
{
	struct shunt_cid_config config = kept_config();
	uint8_t cid[SHUNT_CID_MAX_LENGTH];
	uint32_t first = 0;
	int pipes[2], status;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		size_t length = sizeof(cid);
		struct shunt_cid *s;

		if (shunt_cid_open(&config, &s))
			_exit(1);
		for (unsigned int i = 0; i < issued; i++) {
			if (shunt_cid_issue(s, cid, &length))
				_exit(1);
			if (!i)
				first = nonce_of(cid);
		}
		if (write(pipes[1], &first, sizeof(first)) != sizeof(first))
			_exit(1);
		if (!crash)
			shunt_cid_close(s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(pipes[0], &first, sizeof(first)), sizeof(first));
	close(pipes[0]);
	close(pipes[1]);
	return first;
}

static void test_restart(void **state)
{
	uint32_t first = live(10, false);

	(void)state;
	/* In good order not one is lost; a crash costs what was reserved. */
	assert_int_equal(live(20000, false), first + 10);
	assert_int_equal(live(5, true), first + 20010);
	assert_int_equal(live(9000, true), first + 20010 + 8192);
	assert_int_equal(live(1, true), first + 20010 + 3 * 8192);
	assert_int_equal(live(1, false), first + 20010 + 4 * 8192);
	assert_int_equal(live(1, false), first + 20010 + 4 * 8192 + 1);
}

static void test_exhaustion_is_remembered(void **state)
{
	struct shunt_cid_config config = kept_config();
	struct shunt_cid *s = must_open(&config);
	uint8_t cid[SHUNT_CID_MAX_LENGTH];
	size_t length = sizeof(cid);
	struct cid_counter *counter = counter_of(s);

	(void)state;
	counter->next = counter->limit - 3;
	counter->reserved = counter->next;
	must_issue(s, cid);
	assert_int_equal(counter->reserved, counter->limit);
	/* As a crash would leave it, but with the lock given back. */
	*s->mark = 0;
	shunt_cid_close(s);
	s = must_open(&config);
	assert_int_equal(shunt_cid_issue(s, cid, &length), SHUNT_CID_ERR_EXHAUSTED);
	shunt_cid_close(s);
	s = must_open(&config);
	assert_int_equal(shunt_cid_issue(s, cid, &length), SHUNT_CID_ERR_EXHAUSTED);
	shunt_cid_close(s);
}

static void damage(long at, const char *text)
{
	FILE *f = fopen(file, "r+");

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static void test_damage(void **state)
{
	struct shunt_cid_config config = kept_config();
	struct shunt_cid *s;
	struct stat st;
	uint32_t first = live(1, false);

	(void)state;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Three writes in all: the third went over the first. A torn last line: the one before holds. */
	assert_int_equal(live(1, true), first + 1);
	damage(20, "zz");
	assert_int_equal(live(1, true), first + 1);
	damage(20, "zz");
	damage(st.st_size / 2 + 20, "zz");
	assert_int_equal(shunt_cid_open(&config, &s), SHUNT_CID_ERR_STATE_DAMAGED);
	/* Some other file: left as it is. */
	assert_int_equal(truncate(file, 0), 0);
	damage(0, "nameserver 192.0.2.1\n");
	assert_int_equal(shunt_cid_open(&config, &s), SHUNT_CID_ERR_STATE_DAMAGED);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, 21);
	/* Made before a power cut, never synced. */
	assert_int_equal(truncate(file, 0), 0);
	assert_int_equal(truncate(file, 100), 0);
	shunt_cid_close(must_open(&config));
}

static size_t file_text(char *text, size_t room)
{
	FILE *f = fopen(file, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, room, f);
	fclose(f);
	return n;
}

/* Key A, then B, then A: with B's line over one of A's, A would go on from its older one. */
static void test_file_of_another_key(void **state)
{
	struct shunt_cid_config config = kept_config();
	char before[512], after[512];
	uint32_t first = live(10, false);
	struct shunt_cid *s;
	size_t n = file_text(before, sizeof(before));

	(void)state;
	config.key = (const uint8_t *)"another key\0\0\0\0";
	assert_int_equal(shunt_cid_open(&config, &s), SHUNT_CID_ERR_STATE_OTHER);
	config = make_config(4, 1, 5, true);
	config.state_file = file;
	assert_int_equal(shunt_cid_open(&config, &s), SHUNT_CID_ERR_STATE_OTHER);
	assert_int_equal(file_text(after, sizeof(after)), n);
	assert_memory_equal(before, after, n);
	assert_int_equal(live(1, false), first + 10);
	/* Torn, so that one line alone says whose it is: either is enough. */
	config.key = (const uint8_t *)"another key\0\0\0\0";
	for (long slot = 0; slot < 2; slot++) {
		live(1, false);
		damage(slot * (long)n / 2 + 20, "zz");
		assert_int_equal(shunt_cid_open(&config, &s), SHUNT_CID_ERR_STATE_OTHER);
	}
}

/* As two configs in turn at one file once left it: a line of each, and neither knows the other's. */
static void test_file_of_two_keys(void **state)
{
	struct shunt_cid_config config = kept_config();
	char mine[512], both[512];
	struct shunt_cid *s;
	size_t n;
	FILE *f;

	(void)state;
	live(1, false);
	n = file_text(mine, sizeof(mine));
	unlink(file);
	config.key = (const uint8_t *)"another key\0\0\0\0";
	shunt_cid_close(must_open(&config));
	assert_int_equal(file_text(both, sizeof(both)), n);
	memcpy(both, mine, n / 2);
	f = fopen(file, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(both, 1, n, f), n);
	fclose(f);
	assert_int_equal(shunt_cid_open(&config, &s), SHUNT_CID_ERR_STATE_OTHER);
	config.key = test_key;
	assert_int_equal(shunt_cid_open(&config, &s), SHUNT_CID_ERR_STATE_OTHER);
}

static void test_state_file_is_busy(void **state)
{
	struct shunt_cid_config config = kept_config();
	struct shunt_cid *s = must_open(&config), *second;

	(void)state;
	assert_int_equal(shunt_cid_open(&config, &second), SHUNT_CID_ERR_STATE_BUSY);
	shunt_cid_close(s);
	shunt_cid_close(must_open(&config));
	config.state_file = "/nowhere/at/all";
	assert_int_equal(shunt_cid_open(&config, &s), SHUNT_CID_ERR_STATE_OPEN);
	assert_int_equal(errno, ENOENT);
}

static void test_full_disk_stops_issuing(void **state)
{
	struct shunt_cid_config config = kept_config();
	struct shunt_cid *s = must_open(&config);
	uint8_t cid[SHUNT_CID_MAX_LENGTH];
	size_t length = sizeof(cid);
	int fd = counter_of(s)->state.fd, full = open("/dev/full", O_RDWR);

	(void)state;
	assert_true(full >= 0);
	counter_of(s)->next = counter_of(s)->reserved;
	counter_of(s)->state.fd = full;
	assert_int_equal(shunt_cid_issue(s, cid, &length), SHUNT_CID_ERR_STATE_WRITE);
	assert_int_equal(errno, ENOSPC);
	counter_of(s)->state.fd = fd;
	assert_int_equal(shunt_cid_issue(s, cid, &length), 0);
	close(full);
	shunt_cid_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_million_around_the_end),
		cmocka_unit_test(test_start_is_random),
		cmocka_unit_test(test_exhaustion),
		cmocka_unit_test_teardown(test_restart, remove_file),
		cmocka_unit_test_teardown(test_exhaustion_is_remembered, remove_file),
		cmocka_unit_test_teardown(test_damage, remove_file),
		cmocka_unit_test_teardown(test_file_of_another_key, remove_file),
		cmocka_unit_test_teardown(test_file_of_two_keys, remove_file),
		cmocka_unit_test_teardown(test_state_file_is_busy, remove_file),
		cmocka_unit_test_teardown(test_full_disk_stops_issuing, remove_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
