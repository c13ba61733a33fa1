/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reasons: what the kernel's errno and sentence are taken for, and how the log finds that sentence.
 * Links: reason.c log.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/libbpf.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "reason.h"

static void every_code_has_words(void **state)
{
	(void)state;
	for (enum reason_code code = 0; code < REASON_COUNT; code++) {
		assert_true(reason_code_name(code)[0]);
		if (code != REASON_NONE)
			assert_true(reason_text(code)[0]);
		for (enum reason_code other = 0; other < code; other++)
			assert_string_not_equal(reason_code_name(code), reason_code_name(other));
	}
}

static void every_exit_status_is_of_the_table(void **state)
{
	(void)state;
	for (enum reason_code code = 0; code < REASON_COUNT; code++) {
		struct reason reason = { .code = code };

		assert_in_range(reason_exit(&reason), 0, 8);
	}
	assert_int_equal(reason_exit(&(struct reason){ .code = REASON_MTU }), 3);
	assert_int_equal(reason_exit(&(struct reason){ .code = REASON_NO_PERMISSION }), 4);
	assert_int_equal(reason_exit(&(struct reason){ .code = REASON_NO_INTERFACE }), 5);
	assert_int_equal(reason_exit(&(struct reason){ .code = REASON_NOT_ATTACHED }), 7);
}

/* Sentences of net/core/dev.c and of drivers, with the errno each comes with. */
static void a_sentence_tells_more_than_its_errno(void **state)
{
	static const struct {
		int error;
		const char *sentence;
		enum reason_code code;
	} rows[] = {
		{ ERANGE, "veth: Peer MTU is too large to set XDP", REASON_MTU },
		{ EINVAL, "virtio_net: MTU too large to enable XDP without frags", REASON_MTU },
		{ ENOSPC, "veth: XDP expects number of rx queues not less than peer tx queues",
		  REASON_QUEUES },
		{ EOPNOTSUPP, "can't set XDP while LRO is on, disable LRO first", REASON_LRO },
		{ EOPNOTSUPP,
		  "virtio_net: Can't set XDP while host is implementing GRO_HW/CSUM, disable "
		  "GRO_HW/CSUM first",
		  REASON_RECEIVE_OFFLOADS },
		{ EEXIST, "Native and generic XDP can't be active at the same time",
		  REASON_BUSY_OTHER_MODE },
		{ EBUSY, "XDP program already attached", REASON_BUSY_FOREIGN_PROGRAM },
		{ EEXIST, "Active program does not match expected", REASON_BUSY_FOREIGN_PROGRAM },
		{ EBUSY, "Can't replace active BPF XDP link", REASON_BUSY_LINK },
		{ EEXIST, "Cannot attach when an upper device already has a program",
		  REASON_BUSY_UPPER_DEVICE },
		{ EOPNOTSUPP, "Underlying driver does not support XDP in native mode",
		  REASON_NO_NATIVE },
		{ EBUSY, "FW does not support live reload", REASON_BUSY_FOREIGN_PROGRAM },
		{ EOPNOTSUPP,
		  "nfp: BPF offload not supported with potential packet access beyond HW packet "
		  "split boundary",
		  REASON_PACKET_SPLIT },
		{ EOPNOTSUPP, "nfp: stack too large", REASON_STACK },
		{ EOPNOTSUPP, "nfp: program too long", REASON_TOO_LONG },
		{ EINVAL, "[nfp] unsupported function id: 5", REASON_HELPER },
		{ EINVAL, "[nfp] stack too large: program 520 > FW stack 512", REASON_STACK },
		{ EINVAL, "[nfp] instruction 0x9c not supported", REASON_INSTRUCTION },
		{ EOPNOTSUPP, "[nfp] map writes not supported", REASON_INSTRUCTION },
		{ EOPNOTSUPP, "[nfp] map value use type conflict atomic vs read off: 4",
		  REASON_INSTRUCTION },
		{ EINVAL, "[nfp] variable ptr stack access", REASON_INSTRUCTION },
		{ EOPNOTSUPP, "[nfp] map_lookup: not supported by FW", REASON_HELPER },
		{ EOPNOTSUPP, "[nfp] queue selection not supported by FW", REASON_HELPER },
		{ EOPNOTSUPP,
		  "[nfp] bpf_get_prandom_u32(): FW doesn't support random number "
		  "generation",
		  REASON_HELPER },
		{ EINVAL, "NFP net bpf: map flags are not supported", REASON_MAP_FLAGS },
		{ EOPNOTSUPP, "NFP net bpf: map type not supported", REASON_MAP_TYPE },
		{ ENOMEM, "NFP net bpf: too many maps for a device", REASON_MAP_LIMIT },
		{ ENOMEM, "NFP net bpf: map with too many elements: 139264, left: 100",
		  REASON_MAP_LIMIT },
		{ ENOMEM,
		  "NFP net bpf: map elements too large: 72, FW max element size (key+value): 64",
		  REASON_MAP_LIMIT },
		{ ENOMEM, "NFP net bpf: map key size 64, FW max is 56", REASON_MAP_LIMIT },
		{ ENOMEM, "NFP net bpf: map value size 64, FW max is 56", REASON_MAP_LIMIT },
		{ EINVAL, "NFP net bpf: instruction limit reached (2560 NFP instructions)",
		  REASON_TOO_LONG },
		{ EINVAL, "NFP net bpf: Translation failed with error -95 (translated: 12)",
		  REASON_INSTRUCTION },
		{ EINVAL, "NFP net bpf: Translation failed with error -28 (translated: 12)",
		  REASON_TOO_LONG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (reason_classify(rows[i].error, rows[i].sentence) != rows[i].code)
			fail_msg(
				"%s: %s", rows[i].sentence,
				reason_code_name(reason_classify(rows[i].error, rows[i].sentence)));
}

static void an_errno_alone_tells_what_it_can(void **state)
{
	(void)state;
	assert_int_equal(reason_classify(EPERM, ""), REASON_NO_PERMISSION);
	assert_int_equal(reason_classify(ERANGE, NULL), REASON_MTU);
	assert_int_equal(reason_classify(EBUSY, ""), REASON_BUSY_FOREIGN_PROGRAM);
	assert_int_equal(reason_classify(ENODEV, ""), REASON_DEVICE_GONE);
	assert_int_equal(reason_classify(EINVAL, ""), REASON_UNKNOWN);
	assert_int_equal(reason_classify(EOPNOTSUPP, ""), REASON_UNKNOWN);
	assert_int_equal(reason_classify(EIO, "something new"), REASON_UNKNOWN);
	assert_int_equal(reason_classify(0, ""), REASON_UNKNOWN);
}

static void errno_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(reason_errno_name(0), "");
	assert_string_equal(reason_errno_name(EINVAL), "EINVAL");
	assert_string_equal(reason_errno_name(524), "ENOTSUPP");
	assert_string_equal(reason_errno_name(4711), "errno unknown");
}

static void a_reason_is_filled_whole(void **state)
{
	struct reason reason;

	(void)state;
	memset(&reason, 0xff, sizeof(reason));
	assert_int_equal(reason_set(&reason, REASON_MTU, "attach", ERANGE, "%s, %s", "eth0",
				    "driver"),
			 -ERANGE);
	assert_string_equal(reason.what, "eth0, driver");
	assert_string_equal(reason.kernel, "");
	assert_string_equal(reason_hint(&reason),
			    "lower the MTU of the interface (and of its peer on veth)");
	reason_set_hint(&reason, "lower it to %d", 3506);
	assert_string_equal(reason_hint(&reason), "lower it to 3506");
	assert_int_equal(reason_set(&reason, REASON_CONFIG, "config", 0, NULL), -EINVAL);
	assert_string_equal(reason.what, "");
}

static void long_text_is_cut_not_spilt(void **state)
{
	struct reason reason;
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	reason_set(&reason, REASON_UNKNOWN, "attach", EIO, "%s", text);
	reason_set_kernel(&reason, text);
	reason_set_hint(&reason, "%s", text);
	assert_int_equal(strlen(reason.what), sizeof(reason.what) - 1);
	assert_int_equal(strlen(reason.kernel), sizeof(reason.kernel) - 1);
	assert_int_equal(strlen(reason.hint), sizeof(reason.hint) - 1);
}

static void the_kernels_sentence_is_kept_bare(void **state)
{
	struct reason reason = {};

	(void)state;
	reason_set_kernel(&reason, "libbpf: Kernel error message: no way\nsecond line\n");
	assert_string_equal(reason.kernel, "no way");
	reason_set_kernel(&reason, "");
	assert_string_equal(reason.kernel, "");
}

/* As libbpf would say it: log.c has put its own printer there. */
__attribute__((format(printf, 1, 2))) static void libbpf_says(const char *format, ...)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	va_list arguments;

	libbpf_set_print(print);
	va_start(arguments, format);
	print(LIBBPF_WARN, format, arguments);
	va_end(arguments);
}

static void the_log_finds_an_extack(void **state)
{
	(void)state;
	log_init(-1);
	log_forget_kernel();
	assert_string_equal(log_kernel_sentence(), "");
	libbpf_says("libbpf: Kernel error message: %s\n", "veth: Peer MTU is too large to set XDP");
	assert_string_equal(log_kernel_sentence(), "veth: Peer MTU is too large to set XDP");
	libbpf_says("libbpf: elf: something else went on\n");
	assert_string_equal(log_kernel_sentence(), "veth: Peer MTU is too large to set XDP");
	log_note_kernel("ours\n");
	assert_string_equal(log_kernel_sentence(), "ours");
	log_forget_kernel();
	assert_string_equal(log_kernel_sentence(), "");
}

static void the_log_finds_the_verifiers_telling_line(void **state)
{
	(void)state;
	log_init(-1);
	log_forget_kernel();
	libbpf_says("libbpf: prog 'p': -- BEGIN PROG LOAD LOG --\n"
		    "0: (79) r3 = *(u64 *)(r1 +0)\n"
		    "invalid access to packet, off=0 size=8\n"
		    "processed 4 insns (limit 1000000) max_states_per_insn 0\n"
		    "-- END PROG LOAD LOG --\n");
	assert_string_equal(log_kernel_sentence(), "invalid access to packet, off=0 size=8");
}

static void an_empty_verifier_log_is_no_sentence(void **state)
{
	(void)state;
	log_init(-1);
	log_forget_kernel();
	libbpf_says("libbpf: prog 'p': -- BEGIN PROG LOAD LOG --\n"
		    "processed 0 insns (limit 1000000)\n-- END PROG LOAD LOG --\n");
	assert_string_equal(log_kernel_sentence(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_words),
		cmocka_unit_test(every_exit_status_is_of_the_table),
		cmocka_unit_test(a_sentence_tells_more_than_its_errno),
		cmocka_unit_test(an_errno_alone_tells_what_it_can),
		cmocka_unit_test(errno_has_a_name),
		cmocka_unit_test(a_reason_is_filled_whole),
		cmocka_unit_test(long_text_is_cut_not_spilt),
		cmocka_unit_test(the_kernels_sentence_is_kept_bare),
		cmocka_unit_test(the_log_finds_an_extack),
		cmocka_unit_test(the_log_finds_the_verifiers_telling_line),
		cmocka_unit_test(an_empty_verifier_log_is_no_sentence),
	};

	return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
