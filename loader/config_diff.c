/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What one configuration changes against another, on their JSON: of the servers that differ at all. Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"
#include "config_match.h"

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

static bool same_ids(const struct config_server *a, const struct config_server *b)
{
	if (a->n_ids != b->n_ids)
		return false;
	for (uint32_t i = 0; i < a->n_ids; i++)
		if (a->ids[i].config != b->ids[i].config || a->ids[i].length != b->ids[i].length ||
		    memcmp(a->ids[i].id, b->ids[i].id, a->ids[i].length))
			return false;
	return true;
}

/* Of two servers of one name. */
static bool same_server(const struct config_server *a, const struct config_server *b)
{
	return config_address_equal(&a->address, &b->address) && a->mode == b->mode &&
	       a->port == b->port && a->weight == b->weight && a->state == b->state &&
	       same_ids(a, b);
}

/* Those that are the same in both, by position. */
struct unchanged {
	bool *before, *after;
};

static uint32_t first_of(const struct config *config, uint32_t pool)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool; i++)
		n += config->pools[i].n_servers;
	return n;
}

static void skip_pool(const struct config *before, const struct config *after, uint32_t pool,
		      const struct config_match *match, struct unchanged *unchanged)
{
	uint32_t first = first_of(after, pool), was = match->pools[pool];
	uint32_t first_before = was == CONFIG_NOWHERE ? 0 : first_of(before, was);

	for (uint32_t i = 0; was != CONFIG_NOWHERE && i < after->pools[pool].n_servers; i++) {
		uint32_t at = match->servers[first + i];

		if (at != CONFIG_NOWHERE &&
		    same_server(&before->pools[was].servers[at - first_before],
				&after->pools[pool].servers[i]))
			unchanged->before[at] = unchanged->after[first + i] = true;
	}
}

/* Without memory nothing is skipped. */
static void find_unchanged(const struct config *before, const struct config *after,
			   struct unchanged *unchanged)
{
	struct config_match match;

	*unchanged = (struct unchanged){
		calloc(first_of(before, before->n_pools) + 1, sizeof(bool)),
		calloc(first_of(after, after->n_pools) + 1, sizeof(bool)),
	};
	if (!config_match(after, before, &match) && unchanged->before && unchanged->after)
		for (uint32_t pool = 0; pool < after->n_pools; pool++)
			skip_pool(before, after, pool, &match, unchanged);
	config_match_free(&match);
}

static json_t *diff_json(json_t *old, json_t *new)
{
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
	return changes;
}

json_t *config_diff(const struct config *before, const struct config *after)
{
	struct unchanged unchanged = {};
	json_t *old = NULL, *new, *changes;

	if (before) {
		find_unchanged(before, after, &unchanged);
		old = config_part_json(before, unchanged.before);
	}
	new = config_part_json(after, unchanged.after);
	changes = diff_json(old, new);
	json_decref(old);
	json_decref(new);
	free(unchanged.before);
	free(unchanged.after);
	return changes;
}
