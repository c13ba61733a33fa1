/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of config.h share: text to a tree (config_yaml.c), the tree to a struct
 * (config_read.c), the rules (config_check.c, config_ways.c, config_nat.c) and the warnings (config_risks.c).
 *
 * A field that has a finding keeps its unset value, and the rules skip what is unset: one mistake
 * makes one finding. Unset is: name "", family 0, length 0, port 0, config id LB_CONFIG_RESERVED,
 * pool CONFIG_NO_POOL.
 */
#ifndef SHUNT_CONFIG_INTERNAL_H
#define SHUNT_CONFIG_INTERNAL_H

#include <stddef.h>

#include "config.h"
#include "config_tree.h"

/* The pool of a cid config that has a finding: CONFIG_NO_POOL means all pools there. */
#define CONFIG_BAD_POOL (UINT32_MAX - 1)

#define CONFIG_PATH_SIZE sizeof(((struct config_finding *)0)->path)

/* Adds one; also counts it when there is no memory to keep it. */
void config_error(struct config_findings *findings, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void config_warn(struct config_findings *findings, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* For rules: config_error(findings, PATH_AT("vips[%u].pool", i), ...). */
#define PATH_AT(...) config_path_at((char[CONFIG_PATH_SIZE]){}, __VA_ARGS__)
const char *config_path_at(char *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A path in the file while it is walked. Written out only where something is wrong. */
#define CONFIG_PATH_STEPS 24
struct config_path {
	size_t n;
	struct {
		const char *key; /* NULL: an element of a list */
		size_t index;
	} step[CONFIG_PATH_STEPS];
};

/* Both return the length before, to go back to with config_path_cut(). The key is not copied. */
size_t config_path_key(struct config_path *path, const char *key);
size_t config_path_index(struct config_path *path, size_t index);
void config_path_cut(struct config_path *path, size_t length);
/* Into a buffer of CONFIG_PATH_SIZE, cut to it. Returns the buffer. */
const char *config_path_text(const struct config_path *path, char *buffer);
#define PATH(path) config_path_text(path, (char[CONFIG_PATH_SIZE]){})

/* The member of a mapping, NULL if it has none of this key. */
struct config_node *config_node_member(const struct config_node *mapping, const char *key);

/*
 * YAML into an empty tree. 0 (also with errors in findings, when the rest can be read), -EINVAL, -ENOMEM.
 */
int config_yaml_parse(const char *text, size_t length, struct config_tree *tree,
		      struct config_findings *findings);
/* The tree into the struct: keys, types, ranges, defaults. 0 or -ENOMEM; errors in findings. */
int config_read(const struct config_node *tree, struct config *config,
		struct config_findings *findings);
/* What one field alone cannot show. 0 or -ENOMEM. */
int config_check(const struct config *config, struct config_findings *findings);
/* Of that, what concerns the ways to the servers. */
int config_check_ways(const struct config *config, struct config_findings *findings);
/* And what mode nat asks of addresses and ports. */
int config_check_nat(const struct config *config, struct config_findings *findings);
/* What is allowed, but seldom meant. */
void config_check_risks(const struct config *config, struct config_findings *findings);
/* The keys of the encrypted configs; relative paths start at `folder`. Errors in findings. */
void config_read_key_files(struct config *config, const char *folder,
			   struct config_findings *findings);

/* The same as config_to_json(), without the servers of which `skip` is set by position. NULL: with all. */
json_t *config_part_json(const struct config *config, const bool *skip);

/* How much the file itself needs. */
struct config_limits config_needs(const struct config *config);

#endif
