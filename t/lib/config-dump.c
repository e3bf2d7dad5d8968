/* config-dump.c - YAML as slimta reads it, for comparisons: a JSON string a line in, a JSON value a line out
 * SPDX-License-Identifier: MIT
 * Out: ["null"] ["bool", true] ["int", "31"] ["float", "1.5"] ["text", "x"] ["list", [...]]
 * ["map", {KEY: ...}], or ["error", "..."]. */
#include <jansson.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/scalar.h"
#include "common/config/tree.h"

static json_t *plain_value(const char *text)
{
	int64_t integer;
	double real;
	bool truth;

	switch (scalar_type(text)) {
	case SCALAR_NULL:
		return json_pack("[s]", "null");
	case SCALAR_BOOL:
		scalar_bool(text, &truth);
		return json_pack("[sb]", "bool", truth);
	case SCALAR_INT:
		scalar_int(text, &integer);
		return json_pack("[sI]", "int", (json_int_t)integer);
	case SCALAR_FLOAT:
		scalar_float(text, &real);
		return json_pack("[so]", "float", json_sprintf("%.12g", real));
	case SCALAR_TEXT:
		break;
	}
	return json_pack("[ss]", "text", text);
}

static json_t *value_of(const struct config_node *node)
{
	json_t *list, *map;

	switch (node->kind) {
	case CONFIG_NULL:
		return json_pack("[s]", "null");
	case CONFIG_SCALAR:
		return node->quoted ? json_pack("[ss]", "text", node->text) : plain_value(node->text);
	case CONFIG_LIST:
		list = json_array();
		for (size_t i = 0; i < node->count; i++)
			json_array_append_new(list, value_of(node->items[i]));
		return json_pack("[so]", "list", list);
	case CONFIG_MAP:
		break;
	}
	map = json_object();
	for (size_t i = 0; i < node->count; i++)
		json_object_set_new(map, node->items[i]->key, value_of(node->items[i]));
	return json_pack("[so]", "map", map);
}

static void dump(const char *text, size_t size)
{
	struct config_errors errors = { 0 };
	struct buffer shown = { 0 };
	struct config *config = config_parse("document", text, size, &errors);
	json_t *value;

	config_errors_print(&errors, &shown);
	value = errors.error_count || !config ? json_pack("[ss]", "error", buffer_str(&shown))
		: value_of(config_root(config));
	json_dumpf(value, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(value);
	config_free(config);
	config_errors_release(&errors);
	buffer_release(&shown);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;

	while ((size = getline(&line, &room, stdin)) > 0) {
		json_t *text = json_loadb(line, (size_t)size, JSON_DECODE_ANY, NULL);

		if (!json_is_string(text))
			return 2;
		dump(json_string_value(text), json_string_length(text));
		json_decref(text);
	}
	free(line);
	return 0;
}
