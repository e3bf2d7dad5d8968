/* redis_place.c - whether two queues of slimta.conf would have the same keys in the same redis
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/base/memory.h"
#include "common/queue/redis/redis_queue.h"

/* As they are written, or not; the rows have the same defaults. */
static const struct {
	const char *name, *fallback;
} keys[] = {
	{ "host", "localhost" }, { "port", "6379" }, { "db", "0" }, { "socket", "" }, { "master_name", "" },
	{ "prefix", REDIS_PREFIX_DEFAULT },
};

static const char *text_of(const struct config_node *section, const char *key, const char *fallback)
{
	const struct config_node *node = config_get(section, key);

	return node && node->kind == CONFIG_SCALAR && node->text ? node->text : fallback;
}

static bool is_same(const struct config_node *one, const struct config_node *two)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(text_of(one, keys[i].name, keys[i].fallback), text_of(two, keys[i].name, keys[i].fallback)) != 0)
			return false;
	return true;
}

void redis_check_place(const struct config_node *section, struct config_errors *errors)
{
	const struct config_node *queues = section->parent, *other;

	for (size_t i = 0; queues && i < queues->count && (other = queues->items[i]) != section; i++) {
		if (other->kind != CONFIG_MAP || strcmp(text_of(other, "type", ""), "redis") != 0 || !is_same(section, other))
			continue;
		config_error_at(errors, section, "the queue \"%s\" keeps its messages in the same redis: each needs a prefix "
			"of its own", other->key);
	}
}
