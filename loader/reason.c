/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names a failure: the code that belongs to the kernel's errno and sentence, and its words.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "reason.h"

static const struct {
	const char *name;
	int status;
	const char *text, *hint;
} codes[REASON_COUNT] = {
#define X(id, code, status, text, hint) [REASON_##id] = { code, status, text, hint },
	REASONS(X)
#undef X
};

const char *reason_code_name(enum reason_code code)
{
	return codes[code].name;
}

const char *reason_text(enum reason_code code)
{
	return codes[code].text;
}

const char *reason_hint(const struct reason *reason)
{
	return reason->hint[0] ? reason->hint : codes[reason->code].hint;
}

/* An errno with one of these is what our own functions return, or the same in fewer letters. */
static bool says_it_all(enum reason_code code)
{
	switch (code) {
	case REASON_NONE:
	case REASON_NO_NDO_BPF:
	case REASON_NO_OFFLOAD_DEVICE:
	case REASON_BUSY_FOREIGN_PROGRAM:
	case REASON_BUSY_OTHER_TIER:
	case REASON_BUSY_OTHER_MODE:
	case REASON_NO_INTERFACE:
	case REASON_NO_BPFFS:
	case REASON_DEVICE_GONE:
	case REASON_ABI:
	case REASON_CAPACITY:
	case REASON_NOT_ATTACHED:
	case REASON_CONFIG:
	case REASON_CONFIG_IN_USE:
	case REASON_USAGE:
	case REASON_UNTRIED:
		return true;
	default:
		return false;
	}
}

const char *reason_kernel(const struct reason *reason)
{
	if (reason->kernel[0] || says_it_all(reason->code))
		return reason->kernel;
	return reason_errno_name(reason->error);
}

int reason_exit(const struct reason *reason)
{
	return codes[reason->code].status;
}

const char *reason_errno_name(int error)
{
	/* The kernel's own, which the C library has no name for: what it says of offload. */
	const int enotsupp = 524;
	const char *name;

	if (!error)
		return "";
	if (error == enotsupp)
		return "ENOTSUPP";
	name = strerrorname_np(error);
	return name ? name : "errno unknown";
}

int reason_set(struct reason *reason, enum reason_code code, const char *stage, int error,
	       const char *what, ...)
{
	*reason = (struct reason){ .code = code, .error = error, .stage = stage };
	if (what) {
		va_list arguments;

		va_start(arguments, what);
		vsnprintf(reason->what, sizeof(reason->what), what, arguments);
		va_end(arguments);
	}
	return error ? -error : -EINVAL;
}

void reason_set_kernel(struct reason *reason, const char *sentence)
{
	static const char *const prefixes[] = { "libbpf: ", "libxdp: ", "Kernel error message: " };
	size_t length;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(sentence, prefixes[i], strlen(prefixes[i])))
			sentence += strlen(prefixes[i]);
	length = strcspn(sentence, "\r\n");
	snprintf(reason->kernel, sizeof(reason->kernel), "%.*s", (int)length, sentence);
}

void reason_set_hint(struct reason *reason, const char *hint, ...)
{
	va_list arguments;

	va_start(arguments, hint);
	vsnprintf(reason->hint, sizeof(reason->hint), hint, arguments);
	va_end(arguments);
}

/*
 * Words of the kernel's sentences (extack of net/core/dev.c and of drivers, device verifiers). A
 * sentence says more than an errno, which every driver chooses for itself; the first row that fits
 * counts, so a narrower one stands before a wider one.
 */
static const struct {
	enum reason_code code;
	const char *words[2]; /* all of them are in the sentence, in any case */
} sentences[] = {
	{ REASON_BUSY_OTHER_MODE, { "native and generic xdp" } },
	{ REASON_BUSY_FOREIGN_PROGRAM, { "xdp program already attached" } },
	{ REASON_BUSY_FOREIGN_PROGRAM, { "active program does not match" } },
	{ REASON_BUSY_FOREIGN_PROGRAM, { "program is already loaded" } },
	{ REASON_BUSY_FOREIGN_PROGRAM, { "fw does not support live reload" } },
	{ REASON_NO_SHARING, { "extension program changes packet data" } },
	{ REASON_BUSY_LINK, { "bpf xdp link" } },
	{ REASON_BUSY_LINK, { "replace active" } },
	{ REASON_BUSY_UPPER_DEVICE, { "upper device" } },
	{ REASON_NO_NATIVE, { "does not support xdp in native mode" } },
	{ REASON_NO_NATIVE, { "driver xdp disabled" } },
	{ REASON_OFFLOAD_REFUSED, { "xdp offload disabled" } },
	{ REASON_PACKET_SPLIT, { "packet split boundary" } },
	{ REASON_MAP_LIMIT, { "map", "too many" } },
	{ REASON_MAP_LIMIT, { "map elements too large" } },
	{ REASON_MAP_LIMIT, { "map key size" } },
	{ REASON_MAP_LIMIT, { "map value size" } },
	{ REASON_MAP_FLAGS, { "map flags" } },
	{ REASON_MAP_TYPE, { "map type" } },
	{ REASON_HELPER, { "unsupported function id" } },
	{ REASON_HELPER, { "not supported by" } },
	{ REASON_HELPER, { "fw doesn't support" } },
	{ REASON_HELPER, { "event_output" } },
	{ REASON_STACK, { "stack too large" } },
	{ REASON_TOO_LONG, { "instruction limit" } },
	{ REASON_TOO_LONG, { "program too long" } },
	{ REASON_TOO_LONG, { "translation failed with error -28" } },
	{ REASON_INSTRUCTION, { "translation failed" } },
	{ REASON_INSTRUCTION, { "instruction", "not supported" } },
	{ REASON_INSTRUCTION, { "[nfp] " } }, /* its verifier says nothing else to a program */
	{ REASON_LRO, { "lro" } },
	{ REASON_LRO, { "rx-gro-hw" } },
	{ REASON_RECEIVE_OFFLOADS, { "gro_hw" } },
	{ REASON_QUEUES, { "queue" } },
	{ REASON_QUEUES, { "tx ring" } },
	{ REASON_QUEUES, { "channels" } },
	{ REASON_MTU, { "mtu" } },
	{ REASON_MTU, { "frame size" } },
	{ REASON_MTU, { "single buffer" } },
	{ REASON_MTU, { "linear", "xdp" } },
};

static bool has_words(const char *sentence, const char *const words[2])
{
	return strcasestr(sentence, words[0]) && (!words[1] || strcasestr(sentence, words[1]));
}

enum reason_code reason_classify(int error, const char *sentence)
{
	if (sentence && sentence[0])
		for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
			if (has_words(sentence, sentences[i].words))
				return sentences[i].code;
	switch (error) {
	case EPERM:
	case EACCES:
		return REASON_NO_PERMISSION;
	case ERANGE:
		return REASON_MTU; /* attached by a bpf_link, which brings no sentence along */
	case EBUSY:
	case EEXIST:
		return REASON_BUSY_FOREIGN_PROGRAM;
	case ENODEV:
		return REASON_DEVICE_GONE;
	default:
		return REASON_UNKNOWN;
	}
}
