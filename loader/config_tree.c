/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Nodes and texts of a tree, cut from large blocks of memory. See config_tree.h.
 */
#include "config_tree.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (256u << 10)

struct config_tree_block {
	struct config_tree_block *next;
	size_t size;
	_Alignas(struct config_node) char octets[];
};

static void *cut(struct config_tree *tree, size_t size)
{
	struct config_tree_block *block = tree->blocks;
	size_t octets = (size + _Alignof(struct config_node) - 1) &
			~(_Alignof(struct config_node) - 1);
	void *found;

	if (octets > tree->left) {
		size_t room = octets > BLOCK_SIZE ? octets : BLOCK_SIZE;

		block = malloc(sizeof(*block) + room);
		if (!block)
			return NULL;
		block->next = tree->blocks;
		block->size = room;
		tree->blocks = block;
		tree->left = room;
	}
	found = block->octets + block->size - tree->left;
	tree->left -= octets;
	return found;
}

struct config_node *config_tree_node(struct config_tree *tree)
{
	struct config_node *node = cut(tree, sizeof(*node));

	if (node)
		*node = (struct config_node){};
	return node;
}

const char *config_tree_text(struct config_tree *tree, const char *text, size_t length)
{
	char *copy = cut(tree, length + 1);

	if (copy) {
		memcpy(copy, text, length);
		copy[length] = '\0';
	}
	return copy;
}

void config_tree_free(struct config_tree *tree)
{
	while (tree->blocks) {
		struct config_tree_block *next = tree->blocks->next;

		free(tree->blocks);
		tree->blocks = next;
	}
	*tree = (struct config_tree){};
}
