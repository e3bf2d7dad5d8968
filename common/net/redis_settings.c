/* redis_settings.c - the keys that say where a redis is, together
 * SPDX-License-Identifier: MIT */
#include "common/net/redis.h"

static void only_one(const struct config_node *map, const char *key, const char *other, struct config_errors *errors)
{
	const struct config_node *node = config_get(map, key);

	if (node && config_get(map, other))
		config_error_at(errors, node, "given together with %s; expected one of them", other);
}

static void needs(const struct config_node *map, const char *key, const char *other, struct config_errors *errors)
{
	const struct config_node *node = config_get(map, key);

	if (node && !config_get(map, other))
		config_error_at(errors, node, "expected %s with it", other);
}

int redis_settings_check(struct redis_settings *s, const struct config_node *map, struct config_errors *errors)
{
	size_t before = errors->error_count;

	(void)s;
	only_one(map, "socket", "host", errors);
	only_one(map, "socket", "port", errors);
	only_one(map, "sentinels", "host", errors);
	only_one(map, "sentinels", "port", errors);
	only_one(map, "sentinels", "socket", errors);
	needs(map, "sentinels", "master_name", errors);
	needs(map, "master_name", "sentinels", errors);
	needs(map, "username", "password", errors);
	return errors->error_count == before ? 0 : -1;
}
