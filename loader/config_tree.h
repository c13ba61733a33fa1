/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a file says, before anybody knows what it means: mappings, lists and values as a tree. It is given
 * back as a whole, so a large file takes few allocations.
 */
#ifndef SHUNT_CONFIG_TREE_H
#define SHUNT_CONFIG_TREE_H

#include <stddef.h>
#include <stdint.h>

enum config_kind { CONFIG_EMPTY, CONFIG_TEXT, CONFIG_MAPPING, CONFIG_LIST };

struct config_node {
	enum config_kind kind;
	uint32_t n; /* members of a mapping, elements of a list */
	const char *key; /* of a member; NULL otherwise */
	struct config_node *next; /* member or element */
	union {
		const char *text;
		struct config_node *first;
	};
};

struct config_tree_block;

/* All zero is an empty one. */
struct config_tree {
	struct config_node *root;
	struct config_tree_block *blocks;
	size_t left; /* octets free in the newest block */
};

/* Zeroed, NULL: no memory. */
struct config_node *config_tree_node(struct config_tree *tree);
/* A copy, ended by NUL. NULL: no memory. */
const char *config_tree_text(struct config_tree *tree, const char *text, size_t length);
void config_tree_free(struct config_tree *tree);

#endif
