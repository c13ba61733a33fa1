/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Eight threads at one handle, a rotation under way meanwhile. */
#include "common.h"

#ifndef EACH
#define EACH 100000
#endif

enum { THREADS = 8, OCTETS = 8 };

struct part {
	pthread_t thread;
	struct shunt_cid *s;
	uint8_t (*cids)[OCTETS];
	bool failed;
};

static void *work(void *argument)
{
	struct part *part = argument;

	for (int i = 0; i < EACH && !part->failed; i++) {
		uint8_t cid[SHUNT_CID_MAX_LENGTH];
		size_t length = sizeof(cid);
		struct shunt_cid_info info;

		part->failed = shunt_cid_issue(part->s, cid, &length) || length != OCTETS ||
			       shunt_cid_decode(part->s, cid, length, &info) ||
			       info.owner != SHUNT_CID_OWN;
		memcpy(part->cids[i], cid, OCTETS);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return memcmp((const uint8_t *)a + 1, (const uint8_t *)b + 1, OCTETS - 1);
}

/* The same lengths and key under two config ids would be told apart by nothing but the nonce. */
static void test_no_duplicates(void **state)
{
	struct shunt_cid_config config = make_config(0, 3, 4, true);
	struct part parts[THREADS] = {};
	uint8_t(*cids)[OCTETS] = calloc((size_t)THREADS * EACH, OCTETS);
	struct shunt_cid *s = must_open(&config);

	(void)state;
	assert_non_null(cids);
	for (int i = 0; i < THREADS; i++) {
		parts[i].s = s;
		parts[i].cids = cids + (size_t)i * EACH;
		assert_int_equal(pthread_create(&parts[i].thread, NULL, work, &parts[i]), 0);
	}
	config = make_config(1, 3, 4, true);
	config.key = (const uint8_t *)"a different key";
	assert_int_equal(shunt_cid_add_config(s, &config), 0);
	assert_int_equal(shunt_cid_activate(s, 1), 0);
	assert_int_equal(shunt_cid_length(s, 1), OCTETS);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(parts[i].thread, NULL), 0);
		assert_false(parts[i].failed);
	}
	for (unsigned int id = 0; id < 2; id++) {
		size_t n = 0;
		uint8_t(*mine)[OCTETS] = calloc((size_t)THREADS * EACH, OCTETS);

		assert_non_null(mine);
		for (size_t i = 0; i < (size_t)THREADS * EACH; i++) {
			if (cids[i][0] >> 5 == id)
				memcpy(mine[n++], cids[i], OCTETS);
		}
		qsort(mine, n, OCTETS, compare);
		for (size_t i = 1; i < n; i++)
			assert_true(compare(mine[i - 1], mine[i]));
		free(mine);
	}
	assert_int_equal(shunt_cid_retire(s, 0), 0);
	shunt_cid_close(s);
	free(cids);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_no_duplicates) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
