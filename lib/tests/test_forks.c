/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* That a handle is of no use in a child of the process that opened it, and hangs it in no call. */
#include "common.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* That every call in a child says so; a call that waits for a lock is ended by the alarm. */
static bool refused_in_child(struct shunt_cid *s)
{
	struct shunt_cid_config config = make_config(5, 1, 4, false);
	uint8_t cid[SHUNT_CID_MAX_LENGTH] = { 4 << 5 };
	const uint8_t random[8] = { 7 << 5 };
	struct shunt_cid_info info;
	size_t length = sizeof(cid);
	uint64_t left;
	bool good;

	alarm(10);
	good = shunt_cid_issue(s, cid, &length) == SHUNT_CID_ERR_FORKED &&
	       shunt_cid_issue_under(s, 4, cid, &length) == SHUNT_CID_ERR_FORKED &&
	       shunt_cid_issue_under(s, 7, cid, &length) == SHUNT_CID_ERR_FORKED &&
	       shunt_cid_decode(s, cid, 6, &info) == SHUNT_CID_ERR_FORKED &&
	       info.owner == SHUNT_CID_UNKNOWN &&
	       shunt_cid_decode(s, random, sizeof(random), &info) == SHUNT_CID_ERR_FORKED &&
	       shunt_cid_left(s, 4, &left) == SHUNT_CID_ERR_FORKED &&
	       shunt_cid_add_config(s, &config) == SHUNT_CID_ERR_FORKED &&
	       shunt_cid_activate(s, 7) == SHUNT_CID_ERR_FORKED &&
	       shunt_cid_retire(s, 4) == SHUNT_CID_ERR_FORKED && shunt_cid_active(s) == 7 &&
	       shunt_cid_rules(s) == (SHUNT_CID_ONE_ONLY | SHUNT_CID_NO_MIGRATION) &&
	       !shunt_cid_length(s, 4) && !shunt_cid_length(s, 7);
	shunt_cid_close(s);
	return good;
}

static void expect_good_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void expect_refused_in_child(struct shunt_cid *s)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(refused_in_child(s) ? 0 : 1);
	expect_good_end(pid);
}

static void test_fork(void **state)
{
	struct shunt_cid_config config = make_config(4, 1, 4, true);
	char file[] = "/tmp/shunt-cid-state-XXXXXX";
	int fd = mkstemp(file);
	uint8_t cid[SHUNT_CID_MAX_LENGTH];
	struct shunt_cid *s;
	uint32_t first;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	config.state_file = file;
	s = must_open(&config);
	must_issue(s, cid);
	first = nonce_of(cid);
	expect_refused_in_child(s);
	must_issue(s, cid);
	assert_int_equal(nonce_of(cid), first + 1);
	/* As where the kernel has no pages that it wipes. */
	assert_int_equal(madvise(s->mark, 1, MADV_KEEPONFORK), 0);
	s->pid = getpid();
	expect_refused_in_child(s);
	must_issue(s, cid);
	assert_int_equal(nonce_of(cid), first + 2);
	shunt_cid_close(s);
	unlink(file);
}

/* fork() copies only the thread that calls it, and the others' locks as they are. */
static void test_fork_while_locked(void **state)
{
	struct shunt_cid_config config = make_config(4, 1, 4, true);
	struct shunt_cid *s = must_open(&config);

	(void)state;
	pthread_rwlock_wrlock(&s->lock);
	pthread_mutex_lock(&counter_of(s)->lock);
	expect_refused_in_child(s);
	pthread_mutex_unlock(&counter_of(s)->lock);
	pthread_rwlock_unlock(&s->lock);
	shunt_cid_close(s);
}

enum { NO_NAMESPACES = 77 };

/* As the first process of a namespace: another one, for its child to be the first there. */
static int first_of_another(void)
{
	struct shunt_cid_config config = make_config(4, 1, 4, true);
	struct shunt_cid *s;
	int status;
	pid_t pid;

	if (getpid() != 1 || shunt_cid_open(&config, &s))
		return 1;
	if (unshare(CLONE_NEWPID))
		return NO_NAMESPACES;
	pid = fork();
	if (!pid)
		_exit(getpid() == 1 && refused_in_child(s) ? 0 : 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	shunt_cid_close(s);
	return status ? 1 : 0;
}

static int run_in_namespace(void)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID) && unshare(CLONE_NEWUSER | CLONE_NEWPID))
		return NO_NAMESPACES;
	pid = fork();
	if (!pid)
		_exit(first_of_another());
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}

/* Where the child has the number of its parent. */
static void test_fork_to_the_same_number(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		_exit(run_in_namespace());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_NAMESPACES)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_fork_while_locked),
		cmocka_unit_test(test_fork_to_the_same_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
