/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The line of the kernel's log that tells why, out of records as /dev/kmsg gives them: one a read().
 *
 * Links: kernel_log.c reason.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel_log.h"

/* The line found in these records, NULL for none. */
static const char *found(const char *subject, const char *const *records)
{
	static char line[60];
	int ends[2];
	bool any;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	for (; *records; records++)
		assert_int_equal(write(ends[1], *records, strlen(*records)), strlen(*records));
	any = kernel_log_find(ends[0], subject, line, sizeof(line));
	close(ends[1]);
	close(ends[0]);
	return any ? line : NULL;
}

#define FOUND(subject, ...) found(subject, (const char *const[]){ __VA_ARGS__, NULL })

static void the_line_that_names_bpf(void **state)
{
	(void)state;
	assert_string_equal(FOUND("", "6,100,5,-;e1000: eth3: link down\n",
				  "6,101,5,-;NFP net bpf: map type not supported\n SUBSYSTEM=x\n"),
			    "NFP net bpf: map type not supported");
}

static void the_line_that_names_the_interface(void **state)
{
	static const char mtu[] = "4,1,5,-;ixgbe 0000:01:00.0 eth3: MTU too large for XDP\n";

	(void)state;
	assert_string_equal(FOUND("eth3", "6,1,5,-;eth3: link up\n", mtu),
			    "ixgbe 0000:01:00.0 eth3: MTU too large for XDP");
	assert_null(FOUND("eth4", mtu));
}

/* The JIT first says why, then that it failed. */
static void the_first_telling_line_counts(void **state)
{
	(void)state;
	assert_string_equal(
		FOUND("nfp", "4,1,5,-;NFP net bpf: instruction limit reached (2560 NFP)\n",
		      "3,2,6,-;NFP net bpf: Translation failed with error -28 (translated: 9)\n"),
		"NFP net bpf: instruction limit reached (2560 NFP)");
}

static void what_others_write_is_not_the_kernels(void **state)
{
	(void)state;
	assert_null(FOUND("", "12,1,5,-;NFP net bpf: map type not supported\n"));
	assert_null(FOUND("", "garbage", ""));
	assert_null(FOUND("", "6,1,5,-;bpf: something that means nothing to us\n"));
}

static void long_lines_are_cut(void **state)
{
	(void)state;
	assert_int_equal(strlen(FOUND("", "6,1,5,-;bpf: map type not supported by a device whose "
					  "driver is fond of very long sentences\n")),
			 59);
}

static void no_reader_finds_nothing(void **state)
{
	char line[8];

	(void)state;
	kernel_log_skip(-1);
	assert_false(kernel_log_find(-1, "", line, sizeof(line)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_that_names_bpf),
		cmocka_unit_test(the_line_that_names_the_interface),
		cmocka_unit_test(the_first_telling_line_counts),
		cmocka_unit_test(what_others_write_is_not_the_kernels),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(no_reader_finds_nothing),
	};

	return cmocka_run_group_tests_name("kernel_log", tests, NULL, NULL);
}
