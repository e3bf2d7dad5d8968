/* edge.c - the edges of slimta.conf: their kinds, common keys, loading and checking
 * SPDX-License-Identifier: MIT */
#include "edge/edge.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/lookup/lookup.h"
#include "common/net/listener.h"
#include "edge/rules.h"
#include "edge/server.h"

extern const struct edge_driver smtp_edge_driver;

static const struct edge_driver *const drivers[] = {
	&smtp_edge_driver,
	NULL
};

const struct option edge_rows[] = {
	{ "queue", QUEUE_FIELD(edge_options, queue), NULL, 0, 0, "where accepted messages go",
		.required = true },
	{ "listener", NODE_FIELD(edge_options, listener), NULL, 0, 0, "where to listen: one map" },
	{ "listeners", NODE_FIELD(edge_options, listeners), NULL, 0, 0,
		"where to listen: a list of maps" },
	{ "hostname", TEXT_FIELD(edge_options, hostname), "{fqdn}", 0, 0,
		"our name in the banner and the EHLO reply; a template" },
	{ 0 }
};

/* NULL for a type that is missing, unknown or not built: the check of the structure, which comes
 * first, says so. */
static const struct edge_driver *find_driver(const struct config_node *section)
{
	const struct config_node *type = config_get(section, "type");

	for (size_t i = 0; type && type->kind == CONFIG_SCALAR && drivers[i]; i++) {
		if (strcmp(type->text, drivers[i]->type) == 0)
			return drivers[i];
	}
	return NULL;
}

static void check_listeners(const struct config_node *section, struct config_errors *errors)
{
	struct listener_options *items = NULL;
	size_t count = 0;

	listeners_load(section, listener_default_port(section), &items, &count, errors);
	listeners_free(items, count);
}

static struct edge *load_one(const struct config_node *section,
	const struct process_options *process, struct config_errors *errors)
{
	static const char *const ignore[] = { "type", NULL };
	const struct edge_driver *driver = find_driver(section);
	size_t before = errors->error_count;
	struct edge *edge;
	const struct config_node *named = config_get(section, "hostname");
	char *kind, *hostname;

	if (!driver)
		return NULL;
	edge = xcalloc(1, driver->size);
	edge->driver = driver;
	edge->name = section->key;
	kind = xasprintf("edge.%s", driver->type);
	options_load(kind, section, (const struct option_set[]){ { edge_rows, &edge->options },
		{ arrival_rows, &edge->arrivals }, { edge_limits_rows, &edge->limits },
		{ authentication_rows, &edge->authentication }, { trust_rows, &edge->trust },
		{ driver->options, edge } }, 6, ignore, errors);
	free(kind);
	check_listeners(section, errors);
	hostname = template_names(edge->options.hostname ? edge->options.hostname : "", process,
		named ? named : section, errors);
	if (hostname) {
		xstrset(&edge->options.hostname, hostname);
		free(hostname);
	}
	if (errors->error_count == before) {
		arrivals_init(&edge->arrivals);
		networks_init(&edge->trusted, &edge->trust.trusted_clients);
		if (driver->load(edge, section, process, errors) == 0)
			return edge;
	}
	edge_free(edge);
	return NULL;
}

void edges_load(const struct config *config, const struct process_options *process,
	struct edge ***edges, size_t *count, struct config_errors *errors)
{
	const struct config_node *sections = config_get(config_root(config), "edge");
	size_t most = sections && sections->kind == CONFIG_MAP ? sections->count : 0;

	*edges = xcalloc(most ? most : 1, sizeof(**edges));
	*count = 0;
	for (size_t i = 0; i < most; i++) {
		struct edge *edge = load_one(sections->items[i], process, errors);

		if (edge)
			(*edges)[(*count)++] = edge;
	}
}

void edge_free(struct edge *edge)
{
	if (!edge)
		return;
	edge->driver->unload(edge);
	edge_limits_close(edge);
	options_release(edge_limits_rows, &edge->limits);
	rules_free(edge->rules);
	authentication_free(edge);
	networks_release(&edge->trusted);
	options_release(edge->driver->options, edge);
	options_release(trust_rows, &edge->trust);
	options_release(edge_rows, &edge->options);
	arrivals_release(&edge->arrivals);
	free(edge);
}

void edges_warn(const struct config *config, struct edge *const *edges, size_t count, struct config_errors *errors)
{
	for (size_t i = 0; i < count; i++) {
		const struct config_node *section = config_section(config, "edge", edges[i]->name);

		open_relay_check(edges[i], section, errors);
		arrivals_check(&edges[i]->arrivals, section, errors);
	}
}

void edges_check(const struct config *config, const struct process_options *process,
	struct config_errors *errors)
{
	struct edge **edges;
	size_t count;

	edges_load(config, process, &edges, &count, errors);
	edges_warn(config, edges, count, errors);
	for (size_t i = 0; i < count; i++)
		edge_free(edges[i]);
	free(edges);
}

void edges_list_options(struct buffer *out)
{
	for (size_t i = 0; drivers[i]; i++) {
		char *kind = xasprintf("edge.%s", drivers[i]->type);

		options_list(kind, edge_rows, out);
		options_list(kind, arrival_rows, out);
		options_list(kind, edge_limits_rows, out);
		options_list(kind, authentication_rows, out);
		options_list(kind, trust_rows, out);
		options_list(kind, drivers[i]->options, out);
		free(kind);
	}
	lookup_list_options(out);
}

void edge_connection_closed(struct edge *edge)
{
	edge->connections--;
	edge_limits_closed(edge);
	counter_add(edge->child->counters, COUNTER_EDGE_CONNECTIONS, -1);
	server_settle(edge->server);
}
