/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads mappings, lists and single values of the file into structs, by tables of keys. Each value
 * is judged alone; what takes more than one to judge is config_check.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_read.h"

#define SHOWN(text) config_shown(text, (char[CONFIG_SHOWN]){}, CONFIG_SHOWN)

static const char *kind(const struct config_node *value)
{
	if (value->kind == CONFIG_MAPPING)
		return "a mapping";
	return value->kind == CONFIG_LIST ? "a list" : "a value";
}

/* The text of a single value, NULL (and a finding) for anything else. */
static const char *text_of(struct reader *reader, const struct config_node *value)
{
	if (value->kind == CONFIG_TEXT)
		return value->text;
	config_error(reader->findings, PATH(&reader->path),
		     "is %s where a single value is expected", kind(value));
	return NULL;
}

/* False (and a finding) if it is no number. */
static bool number_of(struct reader *reader, const struct config_node *value, uint64_t *number)
{
	const char *text = text_of(reader, value);
	size_t digits;

	if (!text)
		return false;
	digits = strspn(text, "0123456789");
	/* A leading zero means octal to some readers of YAML and nothing to others. */
	if (!digits || text[digits] || (digits > 1 && *text == '0')) {
		config_error(reader->findings, PATH(&reader->path), "'%s' is not a whole number",
			     SHOWN(text));
		return false;
	}
	*number = digits > 18 ? UINT64_MAX : strtoull(text, NULL, 10);
	return true;
}

static void *place(const struct field *field, void *base)
{
	return (char *)base + field->offset;
}

static void store(const struct field *field, void *base, uint32_t value)
{
	void *to = place(field, base);

	if (field->size == sizeof(uint8_t))
		*(uint8_t *)to = value;
	else if (field->size == sizeof(uint16_t))
		*(uint16_t *)to = value;
	else
		*(uint32_t *)to = value;
}

void config_read_number(struct reader *reader, const struct config_node *value,
			const struct field *field, void *base)
{
	const struct range *range = field->about;
	uint64_t number;

	if (!number_of(reader, value, &number))
		return;
	if (number < range->min || number > range->max)
		config_error(reader->findings, PATH(&reader->path), "must be %u to %u", range->min,
			     range->max);
	else
		store(field, base, number);
}

void config_read_version(struct reader *reader, const struct config_node *value,
			 const struct field *field, void *base)
{
	uint64_t number;

	(void)field;
	(void)base;
	if (number_of(reader, value, &number) && number != 1)
		config_error(reader->findings, PATH(&reader->path),
			     "must be 1, the one version there is");
}

void config_read_config_id(struct reader *reader, const struct config_node *value,
			   const struct field *field, void *base)
{
	uint64_t number;

	if (!number_of(reader, value, &number))
		return;
	if (number == LB_CONFIG_RESERVED)
		config_error(reader->findings, PATH(&reader->path),
			     "7 names no config (it marks connection IDs that are not routable)");
	else if (number >= LB_CONFIG_IDS)
		config_error(reader->findings, PATH(&reader->path), "must be 0 to %u",
			     LB_CONFIG_IDS - 1);
	else
		store(field, base, number);
}

void config_read_rows(struct reader *reader, const struct config_node *value,
		      const struct field *field, void *base)
{
	uint64_t number;

	if (!number_of(reader, value, &number))
		return;
	if (number < CONFIG_MIN_ROWS || number > LB_MAX_ROWS || (number & (number - 1)))
		config_error(reader->findings, PATH(&reader->path),
			     "must be a power of two from %u to %u", CONFIG_MIN_ROWS, LB_MAX_ROWS);
	else
		store(field, base, number);
}

void config_read_word(struct reader *reader, const struct config_node *value,
		      const struct field *field, void *base)
{
	const char *text = text_of(reader, value);
	char known[128] = "";
	const struct word *word;
	size_t length = 0;

	if (!text)
		return;
	for (word = field->about; word->text; word++) {
		if (!strcmp(word->text, text)) {
			store(field, base, word->value);
			return;
		}
		length += snprintf(known + length, sizeof(known) - length, "%s%s",
				   length ? ", " : "", word->text);
	}
	config_error(reader->findings, PATH(&reader->path), "'%s' is none of %s", SHOWN(text),
		     known);
}

void config_read_name(struct reader *reader, const struct config_node *value,
		      const struct field *field, void *base)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	const char *text = text_of(reader, value);
	size_t length;

	if (!text)
		return;
	length = strlen(text);
	if (!length || strspn(text, allowed) != length)
		config_error(reader->findings, PATH(&reader->path),
			     "'%s': a name is made of letters, digits, '.', '_' and '-'",
			     SHOWN(text));
	else if (length >= field->size)
		config_error(reader->findings, PATH(&reader->path),
			     "a name has at most %zu characters", field->size - 1);
	else
		memcpy(place(field, base), text, length + 1);
}

/* The rules of the kernel's dev_valid_name(). */
void config_read_interface(struct reader *reader, const struct config_node *value,
			   const struct field *field, void *base)
{
	const char *text = text_of(reader, value);

	if (!text)
		return;
	if (!*text || strlen(text) >= field->size || strpbrk(text, "/: \t\n\v\f\r") ||
	    !strcmp(text, ".") || !strcmp(text, ".."))
		config_error(reader->findings, PATH(&reader->path),
			     "'%s' cannot be the name of an interface", SHOWN(text));
	else
		strcpy(place(field, base), text);
}

static const char *address_problem(const struct config_address *address)
{
	const struct in6_addr *v6 = (const struct in6_addr *)address->octets;
	const uint8_t *octets = address->octets;

	if (address->family == AF_INET) {
		if (octets[0] == 0)
			return "the unspecified address";
		if (octets[0] == 127)
			return "a loopback address";
		if (octets[0] >= 224 && octets[0] < 240)
			return "a multicast address";
		if (octets[0] == 255 && octets[1] == 255 && octets[2] == 255 && octets[3] == 255)
			return "the broadcast address";
		return NULL;
	}
	if (IN6_IS_ADDR_UNSPECIFIED(v6))
		return "the unspecified address";
	if (IN6_IS_ADDR_LOOPBACK(v6))
		return "a loopback address";
	if (IN6_IS_ADDR_MULTICAST(v6))
		return "a multicast address";
	if (IN6_IS_ADDR_LINKLOCAL(v6))
		return "a link-local address, which means nothing beyond one link";
	if (IN6_IS_ADDR_V4MAPPED(v6))
		return "an IPv4 address in IPv6's clothes: write it as IPv4";
	return NULL;
}

/* about: NULL for any, or the family as a struct range's min. */
void config_read_address(struct reader *reader, const struct config_node *value,
			 const struct field *field, void *base)
{
	const char *text = text_of(reader, value), *problem;
	const struct range *family = field->about;
	struct config_address address;

	if (!text)
		return;
	if (config_address_parse(text, &address)) {
		config_error(reader->findings, PATH(&reader->path), "'%s' is not an IP address",
			     SHOWN(text));
		return;
	}
	problem = address_problem(&address);
	if (problem)
		config_error(reader->findings, PATH(&reader->path), "%s is %s", SHOWN(text),
			     problem);
	else if (family && family->min != (uint32_t)address.family)
		config_error(reader->findings, PATH(&reader->path), "%s is not an IPv%d address",
			     SHOWN(text), family->min == AF_INET ? 4 : 6);
	else
		memcpy(place(field, base), &address, sizeof(address));
}

void config_read_server_id(struct reader *reader, const struct config_node *value,
			   const struct field *field, void *base)
{
	const char *text = text_of(reader, value);
	struct config_server_id *id = base;
	uint8_t octets[LB_SERVER_ID_MAX];
	int n;

	(void)field;
	if (!text)
		return;
	n = config_hex_parse(text, octets, sizeof(octets));
	if (n > 0) {
		memcpy(id->id, octets, n);
		id->length = n;
	} else if (n == -ENOSPC) {
		config_error(reader->findings, PATH(&reader->path),
			     "a server id has at most %u octets", LB_SERVER_ID_MAX);
	} else {
		config_error(reader->findings, PATH(&reader->path),
			     "'%s' is not octets in hexadecimal, two digits each", SHOWN(text));
	}
}

void config_read_pool_name(struct reader *reader, const struct config_node *value,
			   const struct field *field, void *base)
{
	const struct config *config = reader->config;
	const char *text = text_of(reader, value);
	bool unnamed = false;
	uint32_t i;

	if (!text)
		return;
	for (i = 0; i < config->n_pools; i++) {
		if (!strcmp(config->pools[i].name, text)) {
			store(field, base, i);
			return;
		}
		unnamed |= !*config->pools[i].name;
	}
	/* With a pool whose name has a finding of its own, it may be that one. */
	if (!unnamed)
		config_error(reader->findings, PATH(&reader->path), "there is no pool '%s'",
			     SHOWN(text));
}

void config_read_cid_pool(struct reader *reader, const struct config_node *value,
			  const struct field *field, void *base)
{
	store(field, base, CONFIG_BAD_POOL);
	config_read_pool_name(reader, value, field, base);
}

void config_read_path(struct reader *reader, const struct config_node *value,
		      const struct field *field, void *base)
{
	const char *text = text_of(reader, value);

	if (!text)
		return;
	if (!*text)
		config_error(reader->findings, PATH(&reader->path), "is empty");
	else if (strlen(text) >= field->size)
		config_error(reader->findings, PATH(&reader->path),
			     "a path has at most %zu octets here", field->size - 1);
	else
		strcpy(place(field, base), text);
}

void config_read_section(struct reader *reader, const struct config_node *value,
			 const struct field *field, void *base)
{
	config_read_keys(reader, value, field->about, place(field, base));
}

void config_read_list(struct reader *reader, const struct config_node *value,
		      const struct field *field, void *base)
{
	const struct list *list = field->about;
	const struct config_node *node;
	size_t before, i = 0;
	char *elements;

	if (value->kind != CONFIG_LIST) {
		config_error(reader->findings, PATH(&reader->path),
			     "is %s where a list is expected", kind(value));
		return;
	}
	if (!value->n && field->required)
		config_error(reader->findings, PATH(&reader->path), "is empty");
	if (!value->n)
		return;
	elements = calloc(value->n, list->element_size);
	if (!elements) {
		reader->no_memory = true;
		return;
	}
	/* Known to config_free() before anything in it can fail. */
	memcpy(place(field, base), &elements, sizeof(elements));
	*(uint32_t *)((char *)base + list->count_offset) = value->n;
	for (node = value->first; node; node = node->next, i++) {
		char *element = elements + i * list->element_size;

		if (list->set_defaults)
			list->set_defaults(element, reader->config);
		before = config_path_index(&reader->path, i);
		config_read_keys(reader, node, list->fields, element);
		config_path_cut(&reader->path, before);
	}
}

/* Most differ in their first letter, and a file asks this millions of times. */
static bool same_key(const char *a, const char *b)
{
	return *a == *b && !strcmp(a, b);
}

struct config_node *config_node_member(const struct config_node *mapping, const char *key)
{
	struct config_node *member = mapping->first;

	while (member && member->key != key && !same_key(member->key, key))
		member = member->next;
	return member;
}

static bool is_known(const struct field *fields, const char *key)
{
	while (fields->key && !same_key(fields->key, key))
		fields++;
	return fields->key;
}

static void refuse_key(struct reader *reader, const char *key, const struct field *fields)
{
	size_t before = config_path_key(&reader->path, key), length = 0;
	char known[160];

	for (const struct field *field = fields; field->key; field++)
		length += snprintf(known + length, sizeof(known) - length, "%s%s",
				   length ? ", " : "", field->key);
	config_error(reader->findings, PATH(&reader->path), "there is no such key; there are %s",
		     known);
	config_path_cut(&reader->path, before);
}

/* Reads in the order of the table, which puts what is referred to before what refers to it. */
void config_read_keys(struct reader *reader, const struct config_node *value,
		      const struct field *fields, void *base)
{
	const struct config_node *member;
	const struct field *field;
	size_t before;

	if (value->kind != CONFIG_MAPPING) {
		config_error(reader->findings, PATH(&reader->path),
			     "is %s where a mapping is expected",
			     value->kind == CONFIG_EMPTY ? "empty" : kind(value));
		return;
	}
	for (member = value->first; member; member = member->next)
		if (!is_known(fields, member->key))
			refuse_key(reader, member->key, fields);
	for (field = fields; field->key; field++) {
		member = config_node_member(value, field->key);
		before = config_path_key(&reader->path, field->key);
		if (member && member->kind != CONFIG_EMPTY)
			field->read(reader, member, field, base);
		else if (field->required)
			config_error(reader->findings, PATH(&reader->path), "is missing");
		config_path_cut(&reader->path, before);
	}
}
