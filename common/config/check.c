/* check.c - the structure of slimta.conf that every program relies on
 * SPDX-License-Identifier: MIT */
#include "common/config/check.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/node.h"
#include "common/config/process.h"
#include "common/config/values.h"

#define MAX_NAME 64

static const char *const top_level[] = { "process", "edge", "queue", "relay" };
static const char *const programs[] = { "master", "edge", "worker", "slimta" };

/* All types of the contract: what is not built yet stands in unbuilt.c. */
static const char *const edge_types[] = { "smtp", "http", "custom", NULL };
static const char *const queue_types[] = {
	"memory", "disk", "redis", "aws", "rackspace", "proxy", "custom", NULL
};
static const char *const relay_types[] = {
	"mx", "static", "lmtp", "pipe", "maildrop", "dovecot", "http", "blackhole", "custom", NULL
};

static bool is_map(const struct config_node *node)
{
	return node && node->kind == CONFIG_MAP;
}

/* Names become parts of file names and of log lines. */
static void check_name(const struct config_node *section, struct config_errors *errors)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t size = strlen(section->key);

	if (!size || size > MAX_NAME || *section->key == '.' || strspn(section->key, letters) != size)
		config_error_at(errors, section, "expected a name of 1 to %d letters, digits and _ . -, "
			"not beginning with a dot", MAX_NAME);
}

static void check_type(const char *kind, const struct config_node *section, const char *const *types,
	struct config_errors *errors)
{
	const struct option row = { .type = OPTION_CHOICE, .choices = types };
	const struct config_node *type = config_get(section, "type");
	struct buffer what = { 0 };
	unsigned unused;
	char *name;

	option_describe(&row, &what);
	if (!type) {
		option_missing(section, "type", buffer_str(&what), errors);
	} else if (!type->broken && option_read_value(&row, type, &unused, errors) == 0) {
		name = xasprintf("type=%s", type->text);
		option_is_unbuilt(kind, name, type, errors);
		free(name);
	}
	buffer_release(&what);
}

static void check_sections(const struct config *config, const char *kind, const char *const *types,
	struct config_errors *errors)
{
	const struct config_node *all = config_get(config_root(config), kind);

	if (!all || all->kind == CONFIG_NULL)
		return;
	if (all->kind != CONFIG_MAP) {
		option_expected(all, "a map of names", errors);
		return;
	}
	for (size_t i = 0; i < all->count; i++) {
		check_name(all->items[i], errors);
		if (is_map(all->items[i]))
			check_type(kind, all->items[i], types, errors);
		else
			option_expected(all->items[i], "a map", errors);
	}
}

static void check_edges(const struct config *config, struct config_errors *errors)
{
	const struct config_node *edges = config_get(config_root(config), "edge");

	for (size_t i = 0; is_map(edges) && i < edges->count; i++) {
		const struct config_node *edge = edges->items[i], *queue = config_get(edge, "queue");

		if (queue && !queue->broken)
			option_check_reference(queue, "queue", errors);
		else if (!queue && is_map(edge))
			option_missing(edge, "queue", "the name of a queue", errors);
	}
}

/* A queue needs a relay where this host has workers for it. */
static void check_queues(const struct config *config, struct config_errors *errors)
{
	const struct config_node *queues = config_get(config_root(config), "queue");
	struct config_errors unused = { 0 };	/* who checks the process section says them */
	struct process_options worker;

	process_load(config, "worker", &worker, &unused);
	for (size_t i = 0; is_map(queues) && i < queues->count; i++) {
		const struct config_node *queue = queues->items[i], *relay = config_get(queue, "relay");

		if (relay && !relay->broken)
			option_check_reference(relay, "relay", errors);
		else if (!relay && is_map(queue) && process_instances(&worker, queue->key))
			option_missing(queue, "relay",
				"the name of a relay (only where process.worker.instances is 0 there may be none)",
				errors);
	}
	process_release(&worker);
	config_errors_release(&unused);
}

static void check_process(const struct config *config, struct config_errors *errors)
{
	const struct config_node *process = config_get(config_root(config), "process");

	if (process && process->kind != CONFIG_MAP && process->kind != CONFIG_NULL)
		option_expected(process, "a map", errors);
	for (size_t i = 0; is_map(process) && i < process->count; i++) {
		const struct config_node *section = process->items[i];
		struct buffer text = { 0 };
		size_t known = 0;

		while (known < ARRAY_SIZE(programs) && strcmp(programs[known], section->key) != 0)
			known++;
		if (known == ARRAY_SIZE(programs)) {
			buffer_append_str(&text, "unknown program: expected master, edge, worker or slimta");
			option_suggest(&text, section->key, programs, ARRAY_SIZE(programs));
			config_error_at(errors, section, "%s", buffer_str(&text));
		} else if (!is_map(section) && section->kind != CONFIG_NULL) {
			option_expected(section, "a map", errors);
		}
		buffer_release(&text);
	}
}

/* Other keys are free, but one that is nearly a section was meant to be it. */
static void warn_of_slips(const struct config_node *root, struct config_errors *errors)
{
	for (size_t i = 0; i < root->count; i++) {
		const char *key = root->items[i]->key;
		const char *near = nearest_name(key, top_level, ARRAY_SIZE(top_level));

		if (near && strcmp(near, key) != 0 && !config_get(root, near))
			config_warning_at(errors, root->items[i], "ignored; did you mean \"%s\"?", near);
	}
}

int config_check_structure(const struct config *config, struct config_errors *errors)
{
	const struct config_node *root = config_root(config), *queues = config_get(root, "queue");
	size_t before = errors->error_count;

	if (root->kind != CONFIG_MAP && root->kind != CONFIG_NULL) {
		option_expected(root, "a map with process, edge, queue and relay", errors);
		return -1;
	}
	warn_of_slips(root, errors);
	if (!queues || queues->kind == CONFIG_NULL || (is_map(queues) && !queues->count))
		option_missing(root, "queue", "at least one queue", errors);
	check_sections(config, "edge", edge_types, errors);
	check_sections(config, "queue", queue_types, errors);
	check_sections(config, "relay", relay_types, errors);
	check_process(config, errors);
	check_edges(config, errors);
	check_queues(config, errors);
	return errors->error_count == before ? 0 : -1;
}
