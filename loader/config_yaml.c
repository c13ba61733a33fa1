/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * YAML text into a tree of JSON values. Knows YAML, and nothing of what the keys mean.
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

struct source {
	yaml_parser_t parser;
	struct config_findings *findings;
	struct config_path path;
	uint32_t nodes, depth;
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

static int parse_value(struct source *source, const yaml_event_t *event, json_t **value);

/* Reads "key:" into *key, NULL at the end of the mapping. */
static int next_key(struct source *source, char **key, yaml_mark_t *mark)
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
		else if (!(*key = strdup((char *)event.data.scalar.value)))
			error = -ENOMEM;
	} else if (event.type != YAML_MAPPING_END_EVENT) {
		error = fail(source, *mark, "a key must be a single word");
	}
	yaml_event_delete(&event);
	return error;
}

static int parse_member(struct source *source, json_t *object, const char *key, yaml_mark_t mark)
{
	size_t before = config_path_key(&source->path, key);
	json_t *value = NULL;
	yaml_event_t event;
	int error;

	error = next_event(source, &event);
	if (error)
		return error;
	error = parse_value(source, &event, &value);
	yaml_event_delete(&event);
	if (error)
		return error;
	if (json_object_get(object, key)) {
		config_error(source->findings, source->path.text, "given twice, again in line %zu",
			     mark.line + 1);
		json_decref(value);
	} else if (json_object_set_new_nocheck(object, key, value)) {
		return -ENOMEM;
	}
	config_path_cut(&source->path, before);
	return 0;
}

static int parse_mapping(struct source *source, json_t *object)
{
	yaml_mark_t mark;
	char *key;
	int error;

	for (;;) {
		error = next_key(source, &key, &mark);
		if (error || !key)
			return error;
		error = parse_member(source, object, key, mark);
		free(key);
		if (error)
			return error;
	}
}

static int parse_list(struct source *source, json_t *array)
{
	yaml_event_t event;
	json_t *value;
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
		before = config_path_index(&source->path, json_array_size(array));
		value = NULL;
		error = parse_value(source, &event, &value);
		yaml_event_delete(&event);
		if (error)
			return error;
		config_path_cut(&source->path, before);
		if (json_array_append_new(array, value))
			return -ENOMEM;
	}
}

/* Plain text stays text: an unquoted server id 1e3 is no number. Nothing, ~ and null are nothing. */
static int parse_scalar(struct source *source, const yaml_event_t *event, json_t **value)
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
		*value = json_null();
	else
		*value = json_stringn_nocheck(text, length);
	return *value ? 0 : -ENOMEM;
}

static int parse_collection(struct source *source, const yaml_event_t *event, json_t **value)
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
	*value = mapping ? json_object() : json_array();
	if (!*value)
		return -ENOMEM;
	source->depth++;
	error = mapping ? parse_mapping(source, *value) : parse_list(source, *value);
	source->depth--;
	if (error) {
		json_decref(*value);
		*value = NULL;
	}
	return error;
}

static int parse_value(struct source *source, const yaml_event_t *event, json_t **value)
{
	if (++source->nodes > NODES_MAX)
		return fail(source, event->start_mark, "too many values: not a configuration");
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return parse_scalar(source, event, value);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return parse_collection(source, event, value);
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

static int parse_stream(struct source *source, json_t **tree)
{
	yaml_event_t event;
	bool found;
	int error;

	error = next_document(source, &found);
	if (error)
		return error;
	if (!found) {
		config_error(source->findings, "", "there is nothing in it");
		return -EINVAL;
	}
	error = next_event(source, &event);
	if (error)
		return error;
	error = parse_value(source, &event, tree);
	yaml_event_delete(&event);
	if (error)
		return error;
	error = next_document(source, &found);
	if (!error && found)
		error = fail(source, source->parser.mark, "a second document; one is expected");
	return error;
}

int config_yaml_parse(const char *text, size_t length, json_t **tree,
		      struct config_findings *findings)
{
	struct source source = { .findings = findings };
	const char *nul = memchr(text, 0, length);
	int error;

	*tree = NULL;
	if (nul) {
		config_error(findings, "", "not text: octet %zu is NUL", (size_t)(nul - text) + 1);
		return -EINVAL;
	}
	if (!yaml_parser_initialize(&source.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&source.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&source.parser, (const unsigned char *)text, length);
	error = parse_stream(&source, tree);
	yaml_parser_delete(&source.parser);
	if (error) {
		json_decref(*tree);
		*tree = NULL;
	}
	return error;
}
