/* forced.c - the key force_mx: domains whose mail goes where the configuration says
 * SPDX-License-Identifier: MIT */
#include "worker/forced.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/config/values.h"
#include "common/net/hosts.h"
#include "common/net/idn.h"
#include "worker/route.h"

#define PORT_MAX 65535

/* A name as the DNS has it, or an address as it is written; owned. NULL: neither. */
static char *read_host(const char *text, size_t size)
{
	char *host = xstrndup(text, size), *name;
	struct host_address address;

	if (host_address_parse(&address, host))
		return host;
	name = idn_to_ascii(host);
	free(host);
	return name;
}

static bool read_host_and_port(const char *text, struct forced *forced)
{
	const char *colon = strrchr(text, ':');
	struct host_address address;
	uint64_t port;

	if (!colon || host_address_parse(&address, text)) {
		forced->host = read_host(text, strlen(text));
		return forced->host != NULL;
	}
	if (!parse_u64(colon + 1, strlen(colon + 1), PORT_MAX, &port) || !port)
		return false;
	forced->port = (unsigned)port;
	forced->host = read_host(text, (size_t)(colon - text));
	return forced->host != NULL;
}

static bool read_value(const char *text, struct forced *forced)
{
	if (*text != '@')
		return read_host_and_port(text, forced);
	forced->is_domain = true;
	forced->host = route_domain(text + 1);
	return forced->host != NULL;
}

static void release(struct forced *forced)
{
	free(forced->domain);
	free(forced->host);
}

const struct forced *forced_find(const struct forced_table *table, const char *domain)
{
	for (size_t i = 0; i < table->count; i++)
		if (strcmp(table->items[i].domain, domain) == 0)
			return &table->items[i];
	return NULL;
}

static void check_one(struct forced_table *table, const struct config_node *node, const char *key, const char *value,
	struct config_errors *errors)
{
	struct forced *forced = &table->items[table->count];

	*forced = (struct forced){ .domain = route_domain(key) };
	if (!forced->domain)
		config_error_at(errors, node, "expected a domain, as example.net, not \"%s\"", key);
	else if (forced_find(table, forced->domain))
		config_error_at(errors, node, "expected each domain once");
	else if (!read_value(value, forced))
		config_error_at_value(errors, node, "expected HOST, HOST:PORT or @DOMAIN");
	else
		table->count++;
	if (forced != &table->items[table->count])
		return;
	release(forced);
}

void forced_check(const struct config_node *node, void *field, struct config_errors *errors)
{
	const struct option_pairs *pairs = field;
	struct forced_table table = { .items = xcalloc(pairs->count + 1, sizeof(*table.items)) };

	for (size_t i = 0; i < pairs->count; i++)
		check_one(&table, config_get(node, pairs->keys[i]), pairs->keys[i], pairs->values[i], errors);
	forced_table_release(&table);
}

void forced_table_init(struct forced_table *table, const struct option_pairs *pairs)
{
	*table = (struct forced_table){ .items = xcalloc(pairs->count + 1, sizeof(*table->items)) };
	for (size_t i = 0; i < pairs->count; i++) {
		struct forced *forced = &table->items[table->count++];

		*forced = (struct forced){ .domain = route_domain(pairs->keys[i]) };
		if (!forced->domain || !read_value(pairs->values[i], forced))
			BUG("a pair that was not checked");
	}
}

void forced_table_release(struct forced_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		release(&table->items[i]);
	free(table->items);
	*table = (struct forced_table){ 0 };
}
