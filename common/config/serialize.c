/* serialize.c - a configuration through the memfd of a generation
 * SPDX-License-Identifier: MIT
 * {"version": 1, "names": [HOSTNAME, FQDN], "files": [[NAME, DIRECTORY]...], "secret": TEXT or null,
 * "root": NODE}, where NODE is [KIND, FLAGS, FILE, LINE, COLUMN, KEY_LINE, KEY_COLUMN, KEY or null, TEXT or null or
 * [NODE...]]. A node that names a file whose content was read has that as one field more. */
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/names.h"
#include "common/config/node.h"

#define VERSION 1
#define FLAG_QUOTED 1
#define FLAG_BROKEN 2
#define NODE_FIELDS 9
/* Room for the positions and quotes around CONFIG_MAX_TEXT. */
#define MAX_SERIALIZED ((size_t)256 << 20)

static void put_string(struct buffer *out, const char *text)
{
	json_t *string = text ? json_string(text) : json_null();
	char *dump;

	if (!string)
		BUG("text in a configuration is not UTF-8");
	dump = json_dumps(string, JSON_ENCODE_ANY);
	buffer_append_str(out, dump);
	free(dump);
	json_decref(string);
}

/* `contents`: those of files too, but for those below `without`, a member of this map (NULL: all). */
static void put_node(struct buffer *out, const struct config_node *node, bool contents, const char *without)
{
	buffer_appendf(out, "[%d,%d,%u,%u,%u,%u,%u,", (int)node->kind,
		(node->quoted ? FLAG_QUOTED : 0) | (node->broken ? FLAG_BROKEN : 0), node->source->index,
		node->line, node->column, node->key_line, node->key_column);
	put_string(out, node->key);
	buffer_append_char(out, ',');
	if (node->kind == CONFIG_LIST || node->kind == CONFIG_MAP) {
		buffer_append_char(out, '[');
		for (size_t i = 0; i < node->count; i++) {
			if (i)
				buffer_append_char(out, ',');
			put_node(out, node->items[i],
				contents && !(without && node->items[i]->key && strcmp(node->items[i]->key, without) == 0), NULL);
		}
		buffer_append_char(out, ']');
	} else {
		put_string(out, node->text);
	}
	if (node->content && contents) {
		buffer_append_char(out, ',');
		put_string(out, node->content);
	}
	buffer_append_char(out, ']');
}

static void serialize(const struct config *config, const char *without, const char *secret, struct buffer *out)
{
	const char *hostname, *fqdn;

	names_known(&hostname, &fqdn);
	buffer_appendf(out, "{\"version\":%d,\"names\":[", VERSION);
	put_string(out, utf8_is_valid(hostname, strlen(hostname)) ? hostname : "");
	buffer_append_char(out, ',');
	put_string(out, utf8_is_valid(fqdn, strlen(fqdn)) ? fqdn : "");
	buffer_append_str(out, "],\"files\":[");
	for (size_t i = 0; i < config->source_count; i++) {
		buffer_append_str(out, i ? ",[" : "[");
		put_string(out, config->sources[i]->name);
		buffer_append_char(out, ',');
		put_string(out, config->sources[i]->directory);
		buffer_append_char(out, ']');
	}
	buffer_append_str(out, "],\"secret\":");
	put_string(out, secret);
	buffer_append_str(out, ",\"root\":");
	put_node(out, config->root, true, without);
	buffer_append_str(out, "}\n");
}

void config_serialize(const struct config *config, struct buffer *out)
{
	serialize(config, NULL, config->secret, out);
}

void config_serialize_for(const struct config *config, const char *program, const char *secret, struct buffer *out)
{
	serialize(config, strcmp(program, "edge") == 0 ? "relay" : "edge", secret, out);
}

static bool take_unsigned(json_t *array, size_t index, unsigned *out)
{
	const json_t *number = json_array_get(array, index);
	json_int_t value = json_integer_value(number);

	*out = (unsigned)value;
	return json_is_integer(number) && value >= 0 && value <= UINT32_MAX;
}

static const char *kept_text(struct config *config, const json_t *string)
{
	return json_is_string(string) ? config_keep(config, json_string_value(string), json_string_length(string))
		: NULL;
}

static struct config_node *take_node(struct config *config, json_t *from, unsigned depth);

static bool take_items(struct config *config, struct config_node *node, json_t *items, unsigned depth)
{
	if (!json_is_array(items))
		return false;
	for (size_t i = 0; i < json_array_size(items); i++) {
		struct config_node *item = take_node(config, json_array_get(items, i), depth + 1);

		if (!item || (node->kind == CONFIG_MAP) != (item->key != NULL))
			return false;
		config_append(node, item);
	}
	return true;
}

/* NULL if it is none of ours. */
static struct config_node *take_node(struct config *config, json_t *from, unsigned depth)
{
	unsigned kind, flags, file, line, column, key_line, key_column;
	json_t *value = json_array_get(from, NODE_FIELDS - 1), *content = json_array_get(from, NODE_FIELDS);
	struct config_node *node;

	if (depth > CONFIG_MAX_DEPTH || json_array_size(from) != NODE_FIELDS + (content ? 1 : 0) || !take_unsigned(from, 0, &kind)
			|| !take_unsigned(from, 1, &flags) || !take_unsigned(from, 2, &file)
			|| !take_unsigned(from, 3, &line) || !take_unsigned(from, 4, &column)
			|| !take_unsigned(from, 5, &key_line) || !take_unsigned(from, 6, &key_column)
			|| kind > CONFIG_MAP || file >= config->source_count)
		return NULL;
	node = config_add_node(config, (enum config_kind)kind, config->sources[file], line, column);
	if (!node)
		return NULL;
	node->quoted = flags & FLAG_QUOTED;
	node->broken = flags & FLAG_BROKEN;
	node->content = kept_text(config, content);
	config_name(node, kept_text(config, json_array_get(from, 7)), key_line, key_column);
	if (node->kind == CONFIG_LIST || node->kind == CONFIG_MAP)
		return take_items(config, node, value, depth) ? node : NULL;
	node->text = kept_text(config, value);
	return (node->text != NULL) == (node->kind == CONFIG_SCALAR) ? node : NULL;
}

static bool take_sources(struct config *config, json_t *files)
{
	for (size_t i = 0; i < json_array_size(files); i++) {
		json_t *pair = json_array_get(files, i);
		const char *name = json_string_value(json_array_get(pair, 0));
		const char *directory = json_string_value(json_array_get(pair, 1));

		if (!name || !directory || i >= CONFIG_MAX_FILES)
			return false;
		config_add_source(config, name, directory);
	}
	return true;
}

static void say_unusable(struct config_errors *errors, const char *why)
{
	config_errors_append(errors, &(struct config_error){
		.file = (char *)"inherited configuration", .text = (char *)why,
	});
}

struct config *config_deserialize(const void *data, size_t size, struct config_errors *errors)
{
	struct config *config = config_new();
	json_t *whole = json_loadb(data, size, 0, NULL), *names = json_object_get(whole, "names");

	if (json_integer_value(json_object_get(whole, "version")) == VERSION
			&& take_sources(config, json_object_get(whole, "files")))
		config->root = take_node(config, json_object_get(whole, "root"), 0);
	config->secret = kept_text(config, json_object_get(whole, "secret"));
	if (config->root)
		names_inherit(json_string_value(json_array_get(names, 0)), json_string_value(json_array_get(names, 1)));
	json_decref(whole);
	if (config->root)
		return config;
	config_free(config);
	say_unusable(errors, "made by another version of slimta, or damaged");
	return NULL;
}

/* By pread: all children inherit one open of the memfd, and so one offset. */
static int read_from_start(int fd, struct buffer *out)
{
	ssize_t got;

	do {
		buffer_reserve(out, 65536);
		got = pread(fd, out->data + out->size, 65536, (off_t)out->size);
		if (got > 0)
			out->size += (size_t)got;
	} while ((got > 0 && out->size <= MAX_SERIALIZED) || (got < 0 && errno == EINTR));
	return got == 0 ? 0 : -1;
}

struct config *config_from_fd(int fd, struct config_errors *errors)
{
	struct buffer data = { 0 };
	struct config *config = NULL;

	if (read_from_start(fd, &data) == 0)
		config = config_deserialize(data.data, data.size, errors);
	else
		say_unusable(errors, "cannot be read");
	buffer_release(&data);
	return config;
}
