/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * YAML text into a tree. Knows YAML, and nothing of what the keys mean.
 *
 * libyaml's events rather than a schema library: that one stops at its first error, and a file has
 * to be judged whole. What makes YAML surprising is refused: anchors, tags, several documents.
 */
#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "config_internal.h"

#define DEPTH_MAX 16
#define NODES_MAX (4u << 20)
/* No mapping of a configuration has a tenth of it, and each key is held against all before it. */
#define KEYS_MAX   128
#define KNOWN_KEYS 64u

struct source {
	yaml_parser_t parser;
	struct config_findings *findings;
	struct config_tree *tree;
	struct config_path path;
	uint32_t nodes, depth;
	const char *known[KNOWN_KEYS]; /* keys that came before, which come again and again */
};

static int fail(struct source *source, yaml_mark_t mark, const char *text)
{
	config_error(source->findings, "", "line %zu, column %zu: %s", mark.line + 1,
		     mark.column + 1, text);
	return -EINVAL;
}

static int fail_syntax(struct source *source)
{
	const yaml_parser_t *parser = &source->parser;
	const char *problem = parser->problem ? parser->problem : "cannot be read as YAML";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR) {
		config_error(source->findings, "", "line %zu, column %zu: not UTF-8 text: %s",
			     parser->mark.line + 1, parser->mark.column + 1, problem);
		return -EINVAL;
	}
	if (parser->context)
		config_error(source->findings, "", "line %zu, column %zu: %s, %s (line %zu)",
			     parser->problem_mark.line + 1, parser->problem_mark.column + 1,
			     problem, parser->context, parser->context_mark.line + 1);
	else
		fail(source, parser->problem_mark, problem);
	return -EINVAL;
}

static int next_event(struct source *source, yaml_event_t *event)
{
	if (yaml_parser_parse(&source->parser, event))
		return 0;
	return fail_syntax(source);
}

static int parse_value(struct source *source, const yaml_event_t *event,
		       struct config_node **value);

/* The tree's copy of a key: of the few that there are, one of each for the most part. */
static const char *keep_key(struct source *source, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	const char **known = &source->known[(length * 7 + (uint8_t)text[0]) % KNOWN_KEYS];

	if (!*known || strcmp(*known, text))
		*known = config_tree_text(source->tree, text, length);
	return *known;
}

/* Reads "key:" into *key, NULL at the end of the mapping. */
static int next_key(struct source *source, const char **key, yaml_mark_t *mark)
{
	yaml_event_t event;
	int error;

	*key = NULL;
	error = next_event(source, &event);
	if (error)
		return error;
	*mark = event.start_mark;
	if (event.type == YAML_SCALAR_EVENT) {
		if (event.data.scalar.anchor || event.data.scalar.tag)
			error = fail(source, *mark, "anchors and tags are not used here");
		else if (strlen((char *)event.data.scalar.value) != event.data.scalar.length)
			error = fail(source, *mark, "a key with a NUL octet");
		else if (!(*key = keep_key(source, &event)))
			error = -ENOMEM;
	} else if (event.type != YAML_MAPPING_END_EVENT) {
		error = fail(source, *mark, "a key must be a single word");
	}
	yaml_event_delete(&event);
	return error;
}

/* Appends a member or an element. */
static struct config_node *append(struct config_node *to, struct config_node *last,
				  struct config_node *node)
{
	if (last)
		last->next = node;
	else
		to->first = node;
	to->n++;
	return node;
}

static int parse_next(struct source *source, struct config_node **value)
{
	yaml_event_t event;
	int error = next_event(source, &event);

	if (error)
		return error;
	error = parse_value(source, &event, value);
	yaml_event_delete(&event);
	return error;
}

static int parse_member(struct source *source, struct config_node *mapping,
			struct config_node **last, const char *key, yaml_mark_t mark)
{
	size_t before = config_path_key(&source->path, key);
	struct config_node *value;
	int error = parse_next(source, &value);

	if (error)
		return error;
	if (config_node_member(mapping, key)) {
		config_error(source->findings, PATH(&source->path),
			     "given twice, again in line %zu", mark.line + 1);
	} else if (mapping->n == KEYS_MAX) {
		return fail(source, mark, "too many keys: not a configuration");
	} else {
		value->key = key;
		*last = append(mapping, *last, value);
	}
	config_path_cut(&source->path, before);
	return 0;
}

static int parse_mapping(struct source *source, struct config_node *mapping)
{
	struct config_node *last = NULL;
	yaml_mark_t mark;
	const char *key;
	int error;

	for (;;) {
		error = next_key(source, &key, &mark);
		if (error || !key)
			return error;
		error = parse_member(source, mapping, &last, key, mark);
		if (error)
			return error;
	}
}

static int parse_list(struct source *source, struct config_node *list)
{
	struct config_node *last = NULL, *value;
	yaml_event_t event;
	size_t before;
	int error;

	for (;;) {
		error = next_event(source, &event);
		if (error)
			return error;
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		before = config_path_index(&source->path, list->n);
		error = parse_value(source, &event, &value);
		yaml_event_delete(&event);
		if (error)
			return error;
		config_path_cut(&source->path, before);
		last = append(list, last, value);
	}
}

/* Plain text stays text: an unquoted server id 1e3 is no number. Nothing, ~ and null are nothing. */
static int parse_scalar(struct source *source, const yaml_event_t *event, struct config_node *value)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;

	if (event->data.scalar.anchor)
		return fail(source, event->start_mark, "anchors are not used here: write it out");
	if (event->data.scalar.tag)
		return fail(source, event->start_mark, "tags are not used here");
	if (strlen(text) != length)
		return fail(source, event->start_mark, "a value with a NUL octet");
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (!length || !strcmp(text, "~") || !strcmp(text, "null")))
		return 0;
	value->kind = CONFIG_TEXT;
	value->text = config_tree_text(source->tree, text, length);
	return value->text ? 0 : -ENOMEM;
}

static int parse_collection(struct source *source, const yaml_event_t *event,
			    struct config_node *value)
{
	bool mapping = event->type == YAML_MAPPING_START_EVENT;
	const void *anchor = mapping ? event->data.mapping_start.anchor :
				       event->data.sequence_start.anchor;
	const void *tag = mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	int error;

	if (anchor)
		return fail(source, event->start_mark, "anchors are not used here: write it out");
	if (tag)
		return fail(source, event->start_mark, "tags are not used here");
	if (source->depth == DEPTH_MAX)
		return fail(source, event->start_mark, "nested too deeply");
	value->kind = mapping ? CONFIG_MAPPING : CONFIG_LIST;
	source->depth++;
	error = mapping ? parse_mapping(source, value) : parse_list(source, value);
	source->depth--;
	return error;
}

static int parse_value(struct source *source, const yaml_event_t *event, struct config_node **value)
{
	if (++source->nodes > NODES_MAX)
		return fail(source, event->start_mark, "too many values: not a configuration");
	*value = config_tree_node(source->tree);
	if (!*value)
		return -ENOMEM;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return parse_scalar(source, event, *value);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return parse_collection(source, event, *value);
	default:
		return fail(source, event->start_mark, "aliases are not used here: write it out");
	}
}

/* Skips to the next event that says something: a document's beginning, or the end of the text. */
static int next_document(struct source *source, bool *found)
{
	yaml_event_t event;
	bool end;
	int error;

	do {
		error = next_event(source, &event);
		if (error)
			return error;
		*found = event.type == YAML_DOCUMENT_START_EVENT;
		end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	} while (!*found && !end);
	return 0;
}

static int parse_stream(struct source *source)
{
	bool found;
	int error;

	error = next_document(source, &found);
	if (error)
		return error;
	if (!found) {
		config_error(source->findings, "", "there is nothing in it");
		return -EINVAL;
	}
	error = parse_next(source, &source->tree->root);
	if (error)
		return error;
	error = next_document(source, &found);
	if (!error && found)
		error = fail(source, source->parser.mark, "a second document; one is expected");
	return error;
}

int config_yaml_parse(const char *text, size_t length, struct config_tree *tree,
		      struct config_findings *findings)
{
	struct source source = { .findings = findings, .tree = tree };
	const char *nul = memchr(text, 0, length);
	int error;

	if (nul) {
		config_error(findings, "", "not text: octet %zu is NUL", (size_t)(nul - text) + 1);
		return -EINVAL;
	}
	if (!yaml_parser_initialize(&source.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&source.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&source.parser, (const unsigned char *)text, length);
	error = parse_stream(&source);
	yaml_parser_delete(&source.parser);
	return error;
}
