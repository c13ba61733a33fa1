/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A table of keys, as config_schema.c writes it and config_read.c reads by it.
 */
#ifndef SHUNT_CONFIG_READ_H
#define SHUNT_CONFIG_READ_H

#include "config_internal.h"

struct reader {
	struct config *config;
	struct config_findings *findings;
	struct config_path path;
	bool no_memory;
};

struct field {
	const char *key;
	bool required;
	/* base: the struct that the field is a part of */
	void (*read)(struct reader *reader, const struct config_node *value,
		     const struct field *field, void *base);
	size_t offset, size;
	const void *about; /* what read needs to know: struct range, words, list or keys */
};

struct range {
	uint32_t min, max;
};

/* Ends with text NULL. */
struct word {
	const char *text;
	uint32_t value;
};

struct list {
	const struct field *fields;
	size_t element_size;
	size_t count_offset; /* from where the field's offset counts from, too */
	void (*set_defaults)(void *element, const struct config *config);
};

/* One mapping: fields ends with key NULL. */
void config_read_keys(struct reader *reader, const struct config_node *value,
		      const struct field *fields, void *base);

typedef void config_reader(struct reader *reader, const struct config_node *value,
			   const struct field *field, void *base);
config_reader config_read_section; /* about: the fields of a mapping in the same struct */
config_reader config_read_list; /* about: struct list */
config_reader config_read_number; /* about: struct range */
config_reader config_read_word; /* about: struct word, ends with text NULL */
config_reader config_read_address; /* about: NULL, or the family as min of a struct range */
config_reader config_read_name;
config_reader config_read_interface;
config_reader config_read_config_id;
config_reader config_read_server_id;
config_reader config_read_pool_name;
config_reader config_read_cid_pool;
config_reader config_read_path;
config_reader config_read_rows;
config_reader config_read_version;

#endif
