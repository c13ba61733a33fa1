/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of config.h share: text to a JSON tree (config_yaml.c), the tree to a struct
 * (config_read.c), the rules (config_check.c, config_ways.c, config_nat.c) and the warnings (config_risks.c).
 *
 * The canonical JSON of config_to_json() has the shape of the file, so both ways in use one reader.
 *
 * A field that has a finding keeps its unset value, and the rules skip what is unset: one mistake
 * makes one finding. Unset is: name "", family 0, length 0, port 0, config id LB_CONFIG_RESERVED,
 * pool CONFIG_NO_POOL.
 */
#ifndef SHUNT_CONFIG_INTERNAL_H
#define SHUNT_CONFIG_INTERNAL_H

#include <stddef.h>

#include "config.h"

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

/* A path in the file while it is walked. */
struct config_path {
	char text[CONFIG_PATH_SIZE];
	size_t length;
};

/* Both return the length before, to go back to with config_path_cut(). */
size_t config_path_key(struct config_path *path, const char *key);
size_t config_path_index(struct config_path *path, size_t index);
void config_path_cut(struct config_path *path, size_t length);

/*
 * YAML into a tree: mappings as objects, lists as arrays, values as strings, empty ones as null.
 * 0 and *tree (also with errors in findings, when the rest can be read), -EINVAL, -ENOMEM.
 */
int config_yaml_parse(const char *text, size_t length, json_t **tree,
		      struct config_findings *findings);
/* The tree into the struct: keys, types, ranges, defaults. 0 or -ENOMEM; errors in findings. */
int config_read(const json_t *tree, struct config *config, struct config_findings *findings);
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
/*
 * All of the above from a tree; *config only if it is valid. folder NULL: key files are named, but
 * not read. 0, -EINVAL, -ENOMEM.
 */
int config_from_tree(const json_t *tree, const char *folder, struct config **config,
		     struct config_findings *findings);

/* How much the file itself needs. */
struct config_limits config_needs(const struct config *config);

#endif
