/* tree.c - the life of a configuration, and ways through it
 * SPDX-License-Identifier: MIT */
#include "common/config/tree.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/node.h"

struct config *config_new(void)
{
	return xcalloc(1, sizeof(struct config));
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->node_count; i++) {
		free(config->nodes[i]->items);
		free(config->nodes[i]);
	}
	for (size_t i = 0; i < config->string_count; i++)
		free(config->strings[i]);
	for (size_t i = 0; i < config->source_count; i++) {
		free(config->sources[i]->name);
		free(config->sources[i]->directory);
		free(config->sources[i]);
	}
	free(config->nodes);
	free(config->strings);
	free(config->sources);
	free(config);
}

/* Without symbolic links, so that `..` in a path can be taken away from its end. */
static char *absolute_directory(const char *name)
{
	const char *slash = strrchr(name, '/');
	char *part = !slash ? xstrdup(".") : slash == name ? xstrdup("/") : xstrndup(name, (size_t)(slash - name));
	char *real = realpath(part, NULL), *directory;

	directory = real ? xstrdup(real) : *part == '/' ? xstrdup(part) : xasprintf("/%s", part);
	free(real);
	free(part);
	return directory;
}

struct config_source *config_add_source(struct config *config, const char *name, const char *directory)
{
	struct config_source *source = xcalloc(1, sizeof(*source));

	source->name = xstrdup(name);
	source->directory = directory ? xstrdup(directory) : absolute_directory(name);
	source->index = (unsigned)config->source_count;
	config->sources = xgrow(config->sources, config->source_count, sizeof(*config->sources));
	config->sources[config->source_count++] = source;
	return source;
}

struct config_node *config_add_node(struct config *config, enum config_kind kind,
	const struct config_source *source, unsigned line, unsigned column)
{
	struct config_node *node;

	if (config->node_count >= CONFIG_MAX_NODES)
		return NULL;
	node = xcalloc(1, sizeof(*node));
	node->kind = kind;
	node->source = source;
	node->file = source->name;
	node->line = node->key_line = line;
	node->column = node->key_column = column;
	config->nodes = xgrow(config->nodes, config->node_count, sizeof(*config->nodes));
	config->nodes[config->node_count++] = node;
	return node;
}

const char *config_keep(struct config *config, const char *text, size_t size)
{
	char *copy;

	if (size > CONFIG_MAX_TEXT - config->text_bytes)
		return NULL;
	config->text_bytes += size;
	copy = xstrndup(text, size);
	config->strings = xgrow(config->strings, config->string_count, sizeof(*config->strings));
	config->strings[config->string_count++] = copy;
	return copy;
}

void config_append(struct config_node *parent, struct config_node *child)
{
	parent->items = xgrow(parent->items, parent->count, sizeof(*parent->items));
	parent->items[parent->count++] = child;
	child->parent = parent;
}

void config_name(struct config_node *node, const char *key, unsigned line, unsigned column)
{
	node->key = key;
	node->key_line = line;
	node->key_column = column;
}

const char *config_secret(const struct config *config)
{
	return config->secret;
}

const struct config_node *config_root(const struct config *config)
{
	return config->root;
}

const struct config_node *config_get(const struct config_node *map, const char *key)
{
	if (!map || map->kind != CONFIG_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(map->items[i]->key, key) == 0)
			return map->items[i];
	}
	return NULL;
}

const struct config_node *config_section(const struct config *config, const char *kind, const char *name)
{
	return config_get(config_get(config->root, kind), name);
}

/* While a list is being read, what is not in it yet comes next. */
static size_t index_in(const struct config_node *list, const struct config_node *item)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i] == item)
			return i;
	}
	return list->count;
}

/* Keys may hold anything that YAML can quote; a line of errors stays a line. */
static void append_key(struct buffer *out, const char *key)
{
	for (const char *p = key; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f) {
			config_show(out, key);
			return;
		}
	}
	buffer_append_str(out, key);
}

void config_path(const struct config_node *node, struct buffer *out)
{
	if (!node->parent)
		return;
	config_path(node->parent, out);
	if (node->key && node->parent->parent)
		buffer_append_char(out, '.');
	if (node->key)
		append_key(out, node->key);
	else
		buffer_appendf(out, "[%zu]", index_in(node->parent, node));
}
