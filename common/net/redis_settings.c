/* redis_settings.c - the keys that say where a redis is, together
 * SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/net/hosts.h"
#include "common/net/redis.h"

char *redis_sentinel_host(const char *text, unsigned *port)
{
	struct host_address address;
	const char *colon = strrchr(text, ':');
	uint64_t number = REDIS_SENTINEL_PORT;
	char *host;

	if (host_address_parse(&address, text))
		colon = NULL;
	if (colon && (!parse_u64(colon + 1, strlen(colon + 1), 65535, &number) || !number))
		return NULL;
	host = xstrndup(text, colon ? (size_t)(colon - text) : strlen(text));
	if (!host_address_parse(&address, host) && (!host[0] || strpbrk(host, ":/[] "))) {
		free(host);
		return NULL;
	}
	*port = (unsigned)number;
	return host;
}

static void check_sentinels(const struct redis_settings *s, const struct config_node *map, struct config_errors *errors)
{
	const struct config_node *node = config_get(map, "sentinels");
	unsigned port;

	if (node && !node->broken && !s->sentinels.count)
		config_error_at_value(errors, node, "expected at least one sentinel");
	for (size_t i = 0; node && i < s->sentinels.count; i++) {
		char *host = redis_sentinel_host(s->sentinels.items[i], &port);

		if (!host)
			config_error_at_value(errors, node->kind == CONFIG_LIST && i < node->count ? node->items[i] : node,
				"expected HOST or HOST:PORT of a sentinel");
		free(host);
	}
}

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

int redis_settings_check(const struct redis_settings *s, const struct config_node *map, struct config_errors *errors)
{
	size_t before = errors->error_count;

	only_one(map, "socket", "host", errors);
	only_one(map, "socket", "port", errors);
	only_one(map, "sentinels", "host", errors);
	only_one(map, "sentinels", "port", errors);
	only_one(map, "sentinels", "socket", errors);
	only_one(map, "tls", "socket", errors);
	needs(map, "sentinels", "master_name", errors);
	needs(map, "master_name", "sentinels", errors);
	needs(map, "username", "password", errors);
	check_sentinels(s, map, errors);
	tls_client_check(&s->tls, config_get(map, "tls"), errors);
	return errors->error_count == before ? 0 : -1;
}
