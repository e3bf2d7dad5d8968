/* node.h - making a tree: what the readers of YAML, of _file twins and of the memfd share
 * SPDX-License-Identifier: MIT
 * Nodes and strings live as long as their config, so aliases share text and nothing is freed singly. */
#ifndef SLIMTA_CONFIG_NODE_H
#define SLIMTA_CONFIG_NODE_H

#include <stddef.h>

#include "common/config/tree.h"

/* Far beyond any real file; they keep alias bombs, endless includes and deep nesting from growing. */
#define CONFIG_MAX_NODES 100000
#define CONFIG_MAX_DEPTH 64
#define CONFIG_MAX_TEXT ((size_t)16 << 20)	/* octets of all scalars, those of aliases counted each time */
#define CONFIG_MAX_FILE ((size_t)4 << 20)
#define CONFIG_MAX_FILES 1000

struct config_source {
	char *name;		/* as it was given */
	char *directory;	/* absolute; what relative paths in the file start from */
	unsigned index;		/* order of reading, from 0 */
};

struct config {
	struct config_node *root;
	struct config_node **nodes;
	size_t node_count;
	char **strings;
	size_t string_count;
	struct config_source **sources;
	size_t source_count;
	size_t text_bytes;
	const char *secret;	/* NULL: none */
};

struct config *config_new(void);
/* `directory` NULL: that of `name`, made absolute. */
struct config_source *config_add_source(struct config *, const char *name, const char *directory);
/* NULL beyond the bounds above; nothing is said about it. */
struct config_node *config_add_node(struct config *, enum config_kind, const struct config_source *, unsigned line,
	unsigned column);
/* A copy of text[0..size] that the config keeps. NULL beyond CONFIG_MAX_TEXT. */
const char *config_keep(struct config *, const char *text, size_t size);
void config_append(struct config_node *parent, struct config_node *child);
/* Places `node` as member `key` of a map. */
void config_name(struct config_node *node, const char *key, unsigned line, unsigned column);

/* Own copies of strings, at a place that no node stands for. */
void config_error_add(struct config_errors *, const struct config_source *, unsigned line, unsigned column,
	const char *path, const char *text);
/* One that has all its fields; takes a copy of each string. */
void config_errors_append(struct config_errors *, const struct config_error *);

/* Replaces `password_file: PATH` by `password: CONTENT`, and so on, in the sections. */
void config_read_secrets(struct config *, struct config_errors *);

#endif
