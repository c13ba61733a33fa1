/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads what ci/object_sizes.py has noted beside an object: its stack, and a card's words.
 */
#include <errno.h>
#include <jansson.h>
#include <linux/limits.h>
#include <string.h>

#include "size/size.h"

#define OBJECT_SUFFIX ".bpf.o"

int size_read_note(const char *path, struct size_row *row, struct reason *reason)
{
	json_int_t stack = 0, words = 0;
	char note[PATH_MAX];
	json_error_t error;
	json_t *document, *found;
	int length = (int)(strlen(path) - strlen(OBJECT_SUFFIX));

	snprintf(note, sizeof(note), "%.*s.size.json", length, path);
	document = json_load_file(note, 0, &error);
	found = json_object_get(document, "words");
	if (json_is_integer(found))
		words = json_integer_value(found);
	stack = json_integer_value(json_object_get(document, "stack"));
	json_decref(document);
	if (stack <= 0)
		return reason_set(reason, REASON_UNKNOWN, "size", EINVAL, "%s", note);
	row->figures[SIZE_STACK] = (uint32_t)stack;
	row->figures[SIZE_WORDS] = (uint32_t)words;
	return 0;
}
