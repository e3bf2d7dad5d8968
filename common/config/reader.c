/* reader.c - the events of libyaml into nodes
 * SPDX-License-Identifier: MIT
 * One pass: an alias is copied where it is used, so every node has its own path; merge keys are resolved
 * when their map ends. What is wrong with a value is noted and the reading goes on. */
#include "common/config/reader.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/base/buffer.h"
#include "common/base/hash.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/scalar.h"

struct anchor {
	char *name;
	struct config_node *node;
	bool complete;
	UT_hash_handle hh;
};

struct reader {
	struct config *config;
	struct config_errors *errors;
	const struct config_source *source;
	const struct reading *reading;
	const char *data;
	size_t size;
	yaml_parser_t parser;
	struct anchor *anchors;
	unsigned depth;
	struct config_node *parent;	/* the place of the node that comes next */
	const char *key;
	unsigned key_line, key_column;	/* 0: that of the node itself */
	bool failed;		/* nothing more can be read; said already */
};

static struct config_node *read_node(struct reader *, yaml_event_t *);

/* Ends the reading: a syntax error, or a bound. */
static struct config_node *give_up(struct reader *reader, unsigned line, unsigned column, const char *text)
{
	if (!reader->failed)
		config_error_add(reader->errors, reader->source, line, column, "", text);
	reader->failed = true;
	return NULL;
}

static struct config_node *give_up_at(struct reader *reader, const yaml_event_t *event, const char *text)
{
	return give_up(reader, (unsigned)event->start_mark.line + 1, (unsigned)event->start_mark.column + 1, text);
}

/* libyaml knows no line for octets that are no text. */
static yaml_mark_t mark_of_octet(const struct reader *reader, size_t offset)
{
	yaml_mark_t mark = { .index = offset };

	for (size_t i = 0; i < offset && i < reader->size; i++) {
		mark.column++;
		if (reader->data[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static void syntax_error(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	yaml_mark_t mark = parser->problem_mark;
	struct buffer text = { 0 };

	buffer_appendf(&text, "not valid YAML: %s", parser->problem ? parser->problem : "unreadable");
	if (parser->error == YAML_READER_ERROR)
		mark = mark_of_octet(reader, parser->problem_offset);
	else if (parser->context)
		buffer_appendf(&text, ", %s", parser->context);
	give_up(reader, (unsigned)mark.line + 1, (unsigned)mark.column + 1, buffer_str(&text));
	buffer_release(&text);
}

static bool next_event(struct reader *reader, yaml_event_t *event)
{
	memset(event, 0, sizeof(*event));
	if (reader->failed)
		return false;
	if (yaml_parser_parse(&reader->parser, event))
		return true;
	syntax_error(reader);
	return false;
}

/* Early, so that an error within it has its path. */
static void place_node(const struct reader *reader, struct config_node *node)
{
	node->parent = reader->parent;
	if (reader->key_line)
		config_name(node, reader->key, reader->key_line, reader->key_column);
	else
		config_name(node, reader->key, node->line, node->column);
}

static struct config_node *add_node(struct reader *reader, enum config_kind kind, const yaml_event_t *event)
{
	struct config_node *node = config_add_node(reader->config, kind, reader->source,
		(unsigned)event->start_mark.line + 1, (unsigned)event->start_mark.column + 1);

	if (!node)
		return give_up_at(reader, event, "too many values: aliases or includes without end?");
	place_node(reader, node);
	return node;
}

static void broken(struct reader *reader, struct config_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void broken(struct reader *reader, struct config_node *node, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	config_error_at_value(reader->errors, node, "%s", text);
	node->broken = true;
	free(text);
}

/* --- anchors and aliases --- */

/* NULL where there is no name, or it was set before. */
static struct anchor *register_anchor(struct reader *reader, const yaml_char_t *name, struct config_node *node)
{
	struct anchor *anchor = NULL;

	if (!name)
		return NULL;
	HASH_FIND_STR(reader->anchors, (const char *)name, anchor);
	if (anchor) {
		config_error_at_value(reader->errors, node, "the anchor &%s is set twice, first in line %u",
			(const char *)name, anchor->node->line);
		return NULL;
	}
	anchor = xcalloc(1, sizeof(*anchor));
	anchor->name = xstrdup((const char *)name);
	anchor->node = node;
	HASH_ADD_KEYPTR(hh, reader->anchors, anchor->name, strlen(anchor->name), anchor);
	return anchor;
}

/* What is anchored can be used once it has ended. */
static void complete_anchor(struct anchor *anchor)
{
	if (anchor)
		anchor->complete = true;
}

static void release_anchors(struct reader *reader)
{
	struct anchor *anchor, *next;

	HASH_ITER(hh, reader->anchors, anchor, next) {
		HASH_DEL(reader->anchors, anchor);
		free(anchor->name);
		free(anchor);
	}
}

/* NULL beyond the bounds: text shared by aliases counts each time, as it does when it is passed on. */
static struct config_node *copy_node(struct config *config, const struct config_node *from, unsigned depth)
{
	struct config_node *node;
	size_t size = (from->text ? strlen(from->text) : 0) + (from->key ? strlen(from->key) : 0);

	if (depth > CONFIG_MAX_DEPTH || size > CONFIG_MAX_TEXT - config->text_bytes)
		return NULL;
	node = config_add_node(config, from->kind, from->source, from->line, from->column);
	if (!node)
		return NULL;
	config->text_bytes += size;
	node->quoted = from->quoted;
	node->broken = from->broken;
	node->text = from->text;
	config_name(node, from->key, from->key_line, from->key_column);
	for (size_t i = 0; i < from->count; i++) {
		struct config_node *item = copy_node(config, from->items[i], depth + 1);

		if (!item)
			return NULL;
		config_append(node, item);
	}
	return node;
}

static struct config_node *read_alias(struct reader *reader, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct config_node *node;
	struct anchor *anchor = NULL;

	HASH_FIND_STR(reader->anchors, name, anchor);
	if (anchor && anchor->complete) {
		node = copy_node(reader->config, anchor->node, reader->depth);
		if (!node)
			return give_up_at(reader, event, "too many values, or too deep, behind this alias");
		place_node(reader, node);
		return node;
	}
	node = add_node(reader, CONFIG_NULL, event);
	if (node)
		broken(reader, node, anchor ? "*%s is used within itself" : "there is no anchor &%s in this file",
			name);
	return node;
}

/* --- scalars --- */

static bool keep_text(struct reader *reader, struct config_node *node, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t size = event->data.scalar.length;

	if (memchr(value, '\0', size)) {
		broken(reader, node, "text with a NUL in it");
		return false;
	}
	node->text = config_keep(reader->config, value, size);
	if (!node->text)
		give_up_at(reader, event, "too much text");
	return node->text != NULL;
}

/* The standard scalar types are written plain, whatever the quotes: !!int "25" is the number. */
static void apply_standard_tag(struct reader *reader, struct config_node *node, const char *type)
{
	static const char *const plain[] = { "int", "float", "bool", "null", "timestamp" };

	if (strcmp(type, "str") == 0) {
		node->quoted = true;
		return;
	}
	if (name_index(type, plain, ARRAY_SIZE(plain)) < ARRAY_SIZE(plain))
		node->quoted = false;
	else if (text_has_prefix(type, "python/"))
		broken(reader, node, "!!%s: tags of Python mean nothing here", type);
	else
		broken(reader, node, "!!%s does not fit a scalar, or is not known", type);
}

#define STANDARD_TAG "tag:yaml.org,2002:"

static struct config_node *apply_tag(struct reader *reader, struct config_node *node, const char *tag)
{
	if (strcmp(tag, "!") == 0)	/* PyYAML takes it for plain, whatever the specification says */
		node->quoted = false;
	else if (strcmp(tag, "!include") == 0)
		return config_include(reader->config, reader->errors, reader->reading, reader->depth, node);
	else if (strcmp(tag, "!env") == 0)
		config_read_env(reader->config, reader->errors, node);
	else if (text_has_prefix(tag, STANDARD_TAG))
		apply_standard_tag(reader, node, tag + strlen(STANDARD_TAG));
	else
		broken(reader, node, "%s is no tag known here; there are !include and !env", tag);
	return node;
}

static void settle_null(struct config_node *node)
{
	if (node->kind != CONFIG_SCALAR)
		return;
	if (node->broken || (!node->quoted && scalar_is_null(node->text))) {
		node->kind = CONFIG_NULL;
		node->text = NULL;
	}
}

static struct config_node *read_scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *tag = (const char *)event->data.scalar.tag;
	struct config_node *node = add_node(reader, CONFIG_SCALAR, event);

	if (!node)
		return NULL;
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	if (keep_text(reader, node, event) && tag)
		node = apply_tag(reader, node, tag);
	settle_null(node);
	complete_anchor(register_anchor(reader, event->data.scalar.anchor, node));
	return reader->failed ? NULL : node;
}

/* --- lists and maps --- */

static void check_collection_tag(struct reader *reader, struct config_node *node, const yaml_char_t *tag)
{
	const char *fitting = node->kind == CONFIG_MAP ? STANDARD_TAG "map" : STANDARD_TAG "seq";

	if (!tag || strcmp((const char *)tag, "!") == 0 || strcmp((const char *)tag, fitting) == 0)
		return;
	broken(reader, node, "%s is no tag for a %s here", (const char *)tag,
		node->kind == CONFIG_MAP ? "map" : "list");
}

static struct config_node *enter(struct reader *reader, enum config_kind kind, const yaml_event_t *event,
	const yaml_char_t *tag, const yaml_char_t *name, struct anchor **anchor)
{
	struct config_node *node;

	if (reader->depth >= CONFIG_MAX_DEPTH)
		return give_up_at(reader, event, "nested too deeply");
	node = add_node(reader, kind, event);
	if (!node)
		return NULL;
	check_collection_tag(reader, node, tag);
	*anchor = register_anchor(reader, name, node);
	reader->depth++;
	return node;
}

static struct config_node *leave(struct reader *reader, struct config_node *node, struct anchor *anchor)
{
	reader->depth--;
	complete_anchor(anchor);
	return reader->failed ? NULL : node;
}

static struct config_node *read_list(struct reader *reader, const yaml_event_t *event)
{
	struct anchor *anchor = NULL;
	struct config_node *item, *list = enter(reader, CONFIG_LIST, event, event->data.sequence_start.tag,
		event->data.sequence_start.anchor, &anchor);
	yaml_event_t next;

	if (!list)
		return NULL;
	while (next_event(reader, &next)) {
		if (next.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&next);
			break;
		}
		reader->parent = list;
		reader->key = NULL;
		reader->key_line = 0;
		item = read_node(reader, &next);
		if (item)
			config_append(list, item);
	}
	return leave(reader, list, anchor);
}

struct map_reader {
	struct config_node *map;
	struct config_node **merges;
	size_t merge_count;
	bool merge;		/* the key that was read last is `<<` */
};

/* The key becomes the place of the value that follows. A key that is none is said, and its value is read
 * into nowhere. */
static bool read_key(struct reader *reader, struct map_reader *into, yaml_event_t *event)
{
	unsigned line = (unsigned)event->start_mark.line + 1, column = (unsigned)event->start_mark.column + 1;
	const struct config_node *key;

	into->merge = event->type == YAML_SCALAR_EVENT && !event->data.scalar.tag
		&& event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
		&& strcmp((const char *)event->data.scalar.value, "<<") == 0;
	reader->parent = into->map;
	reader->key = "?";
	reader->key_line = 0;
	key = read_node(reader, event);
	if (key && key->kind != CONFIG_SCALAR && !key->broken)
		config_error_at(reader->errors, key, "a key must be text%s",
			key->kind == CONFIG_NULL ? ", this one is empty" : "");
	reader->parent = into->map;
	reader->key = key && key->kind == CONFIG_SCALAR ? key->text : NULL;
	reader->key_line = line;
	reader->key_column = column;
	return key != NULL;
}

static struct config_node *read_value(struct reader *reader)
{
	yaml_event_t event;

	return next_event(reader, &event) ? read_node(reader, &event) : NULL;
}

static void read_pair(struct reader *reader, struct map_reader *into, yaml_event_t *event)
{
	struct config_node *value;

	if (!read_key(reader, into, event))
		return;
	value = read_value(reader);
	if (!value || !value->key)
		return;
	if (into->merge) {
		into->merges = xrealloc(into->merges, into->merge_count + 1, sizeof(*into->merges));
		into->merges[into->merge_count++] = value;
	} else {
		config_append(into->map, value);
	}
}

static struct config_node *read_map(struct reader *reader, const yaml_event_t *event)
{
	struct anchor *anchor = NULL;
	struct map_reader into = {
		.map = enter(reader, CONFIG_MAP, event, event->data.mapping_start.tag,
			event->data.mapping_start.anchor, &anchor),
	};
	yaml_event_t next;

	if (!into.map)
		return NULL;
	while (next_event(reader, &next)) {
		if (next.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&next);
			break;
		}
		read_pair(reader, &into, &next);
	}
	if (!reader->failed)
		config_merge(reader->errors, into.map, into.merges, into.merge_count);
	free(into.merges);
	return leave(reader, into.map, anchor);
}

/* Takes the event; NULL once nothing more can be read. */
static struct config_node *read_node(struct reader *reader, yaml_event_t *event)
{
	struct config_node *node = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		node = read_alias(reader, event);
		break;
	case YAML_SCALAR_EVENT:
		node = read_scalar(reader, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		node = read_list(reader, event);
		break;
	case YAML_MAPPING_START_EVENT:
		node = read_map(reader, event);
		break;
	default:
		BUG("libyaml: event %d instead of a value", (int)event->type);
	}
	yaml_event_delete(event);
	return node;
}

/* --- documents --- */

/* The next event that begins a value, or ends the stream. */
static bool next_document(struct reader *reader, yaml_event_t *event)
{
	while (next_event(reader, event)) {
		switch (event->type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			yaml_event_delete(event);
			break;
		default:
			return true;
		}
	}
	return false;
}

static struct config_node *read_stream(struct reader *reader)
{
	struct config_node *root = NULL;
	yaml_event_t event;

	if (!next_document(reader, &event))
		return NULL;
	if (event.type == YAML_STREAM_END_EVENT)
		return add_node(reader, CONFIG_NULL, &event);
	root = read_node(reader, &event);
	if (!next_document(reader, &event))
		return NULL;
	if (event.type != YAML_STREAM_END_EVENT)
		give_up_at(reader, &event, "a second document (---) in one file");
	yaml_event_delete(&event);
	return reader->failed ? NULL : root;
}

struct config_node *config_read_yaml(struct config *config, struct config_errors *errors,
	const struct config_source *source, const struct reading *reading, const struct config_node *at,
	unsigned depth, const void *data, size_t size)
{
	struct reader reader = {
		.config = config, .errors = errors, .source = source, .reading = reading, .depth = depth,
		.data = data, .size = size, .parent = at ? at->parent : NULL, .key = at ? at->key : NULL,
	};
	struct config_node *root;

	if (!yaml_parser_initialize(&reader.parser))
		BUG("libyaml: no memory for a parser");
	yaml_parser_set_input_string(&reader.parser, data, size);
	root = read_stream(&reader);
	yaml_parser_delete(&reader.parser);
	release_anchors(&reader);
	return root;
}
