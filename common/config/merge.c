/* merge.c - merge keys (https://yaml.org/type/merge.html), and keys given twice
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/memory.h"
#include "common/config/reader.h"

struct seen {
	const struct config_node *node;
	UT_hash_handle hh;
};

static const struct config_node *find(struct seen *all, const char *key)
{
	struct seen *seen;

	HASH_FIND(hh, all, key, strlen(key), seen);
	return seen ? seen->node : NULL;
}

static void add(struct seen **all, const struct config_node *node)
{
	struct seen *seen = xcalloc(1, sizeof(*seen));

	seen->node = node;
	HASH_ADD_KEYPTR(hh, *all, node->key, strlen(node->key), seen);
}

static void release(struct seen **all)
{
	struct seen *seen, *next;

	HASH_ITER(hh, *all, seen, next) {
		HASH_DEL(*all, seen);
		free(seen);
	}
}

static void drop_doubles(struct config_errors *errors, struct config_node *map, struct seen **all)
{
	size_t kept = 0;

	for (size_t i = 0; i < map->count; i++) {
		const struct config_node *first = find(*all, map->items[i]->key);

		if (first) {
			config_error_at(errors, map->items[i], "given twice, first in line %u", first->key_line);
			continue;
		}
		add(all, map->items[i]);
		map->items[kept++] = map->items[i];
	}
	map->count = kept;
}

/* The first that has a key wins, so own keys come before merged ones. */
static void merge_map(struct config_node *map, struct config_node *from, struct seen **all)
{
	for (size_t i = 0; i < from->count; i++) {
		if (!find(*all, from->items[i]->key)) {
			add(all, from->items[i]);
			config_append(map, from->items[i]);
		}
	}
}

static void merge_value(struct config_errors *errors, struct config_node *map, struct config_node *value,
	struct seen **all)
{
	if (value->kind == CONFIG_MAP)
		merge_map(map, value, all);
	else if (!value->broken)
		config_error_at(errors, value, "expected a map to merge, or a list of maps");
}

void config_merge(struct config_errors *errors, struct config_node *map, struct config_node *const *merges,
	size_t count)
{
	struct seen *all = NULL;

	drop_doubles(errors, map, &all);
	for (size_t i = 1; i < count; i++)
		config_error_at(errors, merges[i], "given twice: merge several maps as a list, <<: [*one, *two]");
	if (count && merges[0]->kind == CONFIG_LIST) {
		for (size_t i = 0; i < merges[0]->count; i++)
			merge_value(errors, map, merges[0]->items[i], &all);
	} else if (count) {
		merge_value(errors, map, merges[0], &all);
	}
	release(&all);
}
