/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What one configuration changes against another, on their canonical JSON. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "config_internal.h"

/* Things in a list: where the list is, and what tells one of them from another. */
struct things {
	const char *list, *key;
	const char *within; /* what else does, where it is given; NULL: nothing */
	const struct things *inner; /* a list of things in each thing; NULL: none */
};

static const struct things servers = { "servers", "name", NULL, NULL };
static const struct things kinds[] = {
	{ "interfaces", "name", NULL, NULL },
	{ "cid_configs", "id", "pool", NULL },
	{ "pools", "name", NULL, &servers },
	{ "vips", "name", NULL, NULL },
};
static const char *const sections[] = { "forwarding", "tracking", "rotation", "fallback",
					"limits" };

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
/* "pools.NAME.servers.NAME" */
#define PATH_SIZE (2 * CONFIG_NAME_MAX + 32)

static void add_change(json_t *changes, const char *change, const char *path, const char *field,
		       json_t *before, json_t *after)
{
	json_array_append_new(changes,
			      json_pack("{s:s, s:s, s:s?, s:O?, s:O?}", "change", change, "path",
					path, "field", field, "before", before, "after", after));
}

static void diff_fields(json_t *changes, const char *path, json_t *before, json_t *after)
{
	const char *field;
	json_t *value, *old;

	json_object_foreach(after, field, value) {
		old = json_object_get(before, field);
		/* A key is the same wherever its file lies; "key" tells whether it is. */
		if (!strcmp(field, "key_file"))
			continue;
		if (!json_equal(old, value))
			add_change(changes, "modify", path, field, old, value);
	}
}

static const char *thing_name(const json_t *thing, const struct things *things, char *buffer,
			      size_t size)
{
	const json_t *name = json_object_get(thing, things->key);
	const char *within =
		things->within ? json_string_value(json_object_get(thing, things->within)) : NULL;

	if (json_is_string(name))
		return json_string_value(name);
	snprintf(buffer, size, "%lld%s%s", (long long)json_integer_value(name), within ? "@" : "",
		 within ? within : "");
	return buffer;
}

/* The things of a list by name; borrowed things, new object. */
static json_t *by_name(json_t *list, const struct things *things)
{
	json_t *index = json_object(), *thing;
	char buffer[CONFIG_NAME_MAX + 24];
	size_t i;

	json_array_foreach(list, i, thing)
		json_object_set(index, thing_name(thing, things, buffer, sizeof(buffer)), thing);
	return index;
}

static void diff_things(json_t *changes, const struct things *things, const char *prefix,
			json_t *before, json_t *after);

/* One thing and what is in it; before or after is NULL where it is not there. */
static void diff_thing(json_t *changes, const struct things *things, const char *path,
		       json_t *before, json_t *after)
{
	const char *inner = things->inner ? things->inner->list : NULL;
	json_t *old = before ? json_copy(before) : NULL, *new = after ? json_copy(after) : NULL;

	if (inner && old)
		json_object_del(old, inner);
	if (inner && new)
		json_object_del(new, inner);
	if (old && new)
		diff_fields(changes, path, old, new);
	else
		add_change(changes, new ? "add" : "remove", path, NULL, old, new);
	json_decref(old);
	json_decref(new);
	if (things->inner)
		diff_things(changes, things->inner, path, before, after);
}

static void diff_things(json_t *changes, const struct things *things, const char *prefix,
			json_t *before, json_t *after)
{
	json_t *old = by_name(json_object_get(before, things->list), things);
	json_t *new = by_name(json_object_get(after, things->list), things);
	char path[PATH_SIZE];
	const char *name;
	json_t *thing;

	json_object_foreach(old, name, thing) {
		if (json_object_get(new, name))
			continue;
		snprintf(path, sizeof(path), "%s%s%s.%s", prefix, *prefix ? "." : "", things->list,
			 name);
		diff_thing(changes, things, path, thing, NULL);
	}
	json_object_foreach(new, name, thing) {
		snprintf(path, sizeof(path), "%s%s%s.%s", prefix, *prefix ? "." : "", things->list,
			 name);
		diff_thing(changes, things, path, json_object_get(old, name), thing);
	}
	json_decref(old);
	json_decref(new);
}

json_t *config_diff(const struct config *before, const struct config *after)
{
	json_t *old = before ? config_to_json(before) : NULL, *new = config_to_json(after);
	json_t *changes = json_array();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sections); i++) {
		json_t *was = json_object_get(old, sections[i]);
		json_t *is = json_object_get(new, sections[i]);

		if (was)
			diff_fields(changes, sections[i], was, is);
		else
			add_change(changes, "add", sections[i], NULL, NULL, is);
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		diff_things(changes, &kinds[i], "", old, new);
	json_decref(old);
	json_decref(new);
	return changes;
}
