/* options.c - rows fill structs
 * SPDX-License-Identifier: MIT */
#include "common/config/options.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/node.h"
#include "common/config/values.h"

static void *field_of(const struct option *row, void *into)
{
	return (char *)into + row->offset;
}

/* --- one row --- */

/* Whoever calls need not have cleared the struct, and can release it whatever is found. */
static void clear_field(const struct option *row, void *field)
{
	static const size_t sizes[] = {
		[OPTION_BOOL] = sizeof(bool), [OPTION_UINT] = sizeof(unsigned), [OPTION_SIZE] = sizeof(uint64_t),
		[OPTION_TIME] = sizeof(int64_t), [OPTION_TEXT] = sizeof(char *), [OPTION_PATH] = sizeof(char *),
		[OPTION_CHOICE] = sizeof(unsigned), [OPTION_TEXTS] = sizeof(struct strings),
		[OPTION_QUEUE] = sizeof(char *), [OPTION_RELAY] = sizeof(char *), [OPTION_SECTION] = 0,
		[OPTION_SECTIONS] = sizeof(struct option_list), [OPTION_PAIRS] = sizeof(struct option_pairs),
		[OPTION_NODE] = sizeof(struct config_node *),
	};

	memset(field, 0, sizes[row->type]);
}

static void load_rows(const char *kind, const char *name, const struct config_node *map, const struct option *rows,
	void *into, struct config_errors *errors)
{
	char *inner = xasprintf("%s.%s", kind, name);

	options_load(inner, map, &(struct option_set){ rows, into }, 1, NULL, errors);
	free(inner);
}

static void load_list(const char *kind, const struct option *row, const struct config_node *node,
	struct option_list *list, struct config_errors *errors)
{
	struct config_node *single[] = { (struct config_node *)node };
	struct config_node *const *items = node->kind == CONFIG_LIST ? node->items : single;
	size_t count = node->kind == CONFIG_LIST ? node->count : node->kind == CONFIG_MAP ? 1 : 0;

	if (!count && node->kind == CONFIG_SCALAR)
		option_expected(node, "a map or a list of maps", errors);
	list->items = count ? xcalloc(count, row->item_size) : NULL;
	list->count = count;
	for (size_t i = 0; i < count; i++)
		load_rows(kind, row->name, items[i], row->rows, (char *)list->items + i * row->item_size, errors);
}

static void load_default(const char *kind, const struct option *row, void *field)
{
	const struct config_node node = { .kind = CONFIG_SCALAR, .text = row->fallback };
	struct config_errors errors = { 0 };

	if (row->type == OPTION_SECTION)
		load_rows(kind, row->name, NULL, row->rows, field, &errors);
	else if (row->fallback && row->type != OPTION_NODE)
		option_read_value(row, &node, field, &errors);
	if (errors.error_count)
		BUG("the default of %s.%s: %s", kind, row->name, errors.items[0].text);
}

static void load_value(const char *kind, const struct option *row, const struct config_node *node, void *field,
	struct config_errors *errors)
{
	size_t before = errors->error_count;

	if (row->type == OPTION_SECTION)
		load_rows(kind, row->name, node, row->rows, field, errors);
	else if (row->type == OPTION_SECTIONS)
		load_list(kind, row, node, field, errors);
	else
		option_read_value(row, node, field, errors);
	if (row->check && errors->error_count == before)
		row->check(node, field, errors);
}

static void say_missing(const struct config_node *map, const struct option *row, struct config_errors *errors)
{
	struct buffer what = { 0 };

	option_describe(row, &what);
	option_missing(map, row->name, buffer_str(&what), errors);
	buffer_release(&what);
}

static void load_row(const char *kind, const struct option *row, const struct config_node *map, void *field,
	struct config_errors *errors)
{
	const struct config_node *node = config_get(map, row->name);
	const struct config_node *other = row->alias ? config_get(map, row->alias) : NULL;

	if (row->type == OPTION_IGNORED) {
		if (node && !node->broken && row->check)
			row->check(node, NULL, errors);
		else if (node && !node->broken)
			config_warning_at(errors, node, "%s", row->text);
		return;
	}
	clear_field(row, field);
	if (node && other)
		config_error_at(errors, other, "given together with %s; it is another name for it", row->name);
	node = node ? node : other;
	if (node && !node->broken) {
		load_value(kind, row, node, field, errors);
	} else {
		load_default(kind, row, field);
		if (row->required && !node && map && map->kind == CONFIG_MAP)
			say_missing(map, row, errors);
	}
}

/* --- unknown keys --- */

static bool row_has(const struct option *row, const char *key)
{
	return strcmp(row->name, key) == 0 || (row->alias && strcmp(row->alias, key) == 0);
}

static bool is_known(const struct option_set *sets, size_t set_count, const char *const *ignore, const char *key)
{
	for (; ignore && *ignore; ignore++) {
		if (strcmp(*ignore, key) == 0)
			return true;
	}
	for (size_t i = 0; i < set_count; i++) {
		for (const struct option *row = sets[i].rows; row && row->type != OPTION_END; row++) {
			if (row_has(row, key))
				return true;
		}
	}
	return false;
}

struct names {
	const char **items;
	size_t count;
};

static void add_name(const char *name, void *arg)
{
	struct names *names = arg;

	names->items = xrealloc(names->items, names->count + 1, sizeof(*names->items));
	names->items[names->count++] = name;
}

static void say_unknown(const char *kind, const struct config_node *node, const struct option_set *sets,
	size_t set_count, const char *const *ignore, struct config_errors *errors)
{
	struct names names = { 0 };
	struct buffer text = { 0 };

	for (; ignore && *ignore; ignore++)
		add_name(*ignore, &names);
	for (size_t i = 0; i < set_count; i++) {
		for (const struct option *row = sets[i].rows; row && row->type != OPTION_END; row++)
			add_name(row->name, &names);
	}
	option_each_unbuilt(kind, add_name, &names);
	buffer_append_str(&text, "unknown key");
	option_suggest(&text, node->key, names.items, names.count);
	config_error_at(errors, node, "%s", buffer_str(&text));
	buffer_release(&text);
	free(names.items);
}

static void check_keys(const char *kind, const struct config_node *map, const struct option_set *sets,
	size_t set_count, const char *const *ignore, struct config_errors *errors)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct config_node *node = map->items[i];

		if (!node->broken && !is_known(sets, set_count, ignore, node->key)
				&& !option_is_unbuilt(kind, node->key, node, errors))
			say_unknown(kind, node, sets, set_count, ignore, errors);
	}
}

int options_load(const char *kind, const struct config_node *map, const struct option_set *sets, size_t set_count,
	const char *const *ignore, struct config_errors *errors)
{
	size_t before = errors->error_count;

	if (map && map->kind != CONFIG_MAP && map->kind != CONFIG_NULL)
		option_expected(map, "a map", errors);
	for (size_t i = 0; i < set_count; i++) {
		for (const struct option *row = sets[i].rows; row && row->type != OPTION_END; row++)
			load_row(kind, row, map, field_of(row, sets[i].into), errors);
	}
	if (map && map->kind == CONFIG_MAP)
		check_keys(kind, map, sets, set_count, ignore, errors);
	return errors->error_count == before ? 0 : -1;
}

/* --- release and lists --- */

static void release_pairs(struct option_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->keys[i]);
		free(pairs->values[i]);
	}
	free(pairs->keys);
	free(pairs->values);
	memset(pairs, 0, sizeof(*pairs));
}

static void release_list(const struct option *row, struct option_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		options_release(row->rows, (char *)list->items + i * row->item_size);
	free(list->items);
	memset(list, 0, sizeof(*list));
}

void options_release(const struct option *rows, void *from)
{
	for (const struct option *row = rows; row && row->type != OPTION_END; row++) {
		void *field = field_of(row, from);

		if (row->type == OPTION_SECTION)
			options_release(row->rows, field);
		else if (row->type == OPTION_SECTIONS)
			release_list(row, field);
		else if (row->type == OPTION_PAIRS)
			release_pairs(field);
		else if (row->type == OPTION_TEXTS)
			strings_release(field);
		else if (row->type == OPTION_TEXT || row->type == OPTION_PATH || row->type == OPTION_QUEUE
				|| row->type == OPTION_RELAY)
			xstrset(field, NULL);
	}
}

static void list_rows(const char *kind, const char *prefix, const struct option *rows, struct buffer *out)
{
	for (const struct option *row = rows; row && row->type != OPTION_END; row++) {
		char *key;

		if (row->type == OPTION_IGNORED)
			continue;
		key = xasprintf("%s%s", prefix, row->name);
		buffer_appendf(out, "%s\t%s\t", kind, key);
		option_type_name(row, out);
		buffer_appendf(out, "\t%s\t%s\n", row->required ? "(required)" : row->fallback ? row->fallback : "",
			row->text ? row->text : "");
		if (row->rows) {
			char *inner = xasprintf("%s.", key);

			list_rows(kind, inner, row->rows, out);
			free(inner);
		}
		free(key);
	}
}

void options_list(const char *kind, const struct option *rows, struct buffer *out)
{
	list_rows(kind, "", rows, out);
}
