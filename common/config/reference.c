/* reference.c - one section names another
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/values.h"

static const struct config_node *root_of(const struct config_node *node)
{
	while (node->parent)
		node = node->parent;
	return node;
}

static void say_dangling(const struct config_node *node, const char *kind, const struct config_node *sections,
	struct config_errors *errors)
{
	size_t count = sections && sections->kind == CONFIG_MAP ? sections->count : 0;
	const char **names = xcalloc(count + 1, sizeof(*names));
	struct buffer text = { 0 };

	for (size_t i = 0; i < count; i++)
		names[i] = sections->items[i]->key;
	buffer_appendf(&text, "no %s is named ", kind);
	config_show(&text, node->text);
	option_suggest(&text, node->text, names, count);
	config_error_at(errors, node, "%s", buffer_str(&text));
	buffer_release(&text);
	free(names);
}

bool option_check_reference(const struct config_node *node, const char *kind, struct config_errors *errors)
{
	const struct config_node *sections = config_get(root_of(node), kind);
	char *what;

	if (node->kind != CONFIG_SCALAR) {
		what = xasprintf("the name of a %s", kind);
		option_expected(node, what, errors);
		free(what);
		return false;
	}
	if (config_get(sections, node->text))
		return true;
	say_dangling(node, kind, sections, errors);
	return false;
}
