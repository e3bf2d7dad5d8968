/* unbuilt.c - what the contract of slimta.conf knows and this slimta does not have yet
 * SPDX-License-Identifier: MIT
 * A row goes when what it names is built; a `*` in a kind stands for any one part of it. */
#include <stddef.h>
#include <string.h>

#include "common/config/values.h"

struct unbuilt {
	const char *kind;
	const char *name;
};

static const struct unbuilt table[] = {
	{ "process", "confine" },
	{ "process", "metrics" },
	{ "process", "plugin_dir" },

	{ "edge", "type=http" },
	{ "edge", "type=custom" },
	{ "edge.*", "factory" },
	{ "edge.*", "uri" },
	{ "edge.*.rules", "add_spf_header" },
	{ "edge.*.rules", "dnsbl" },
	{ "edge.*.rules", "reject_spam" },
	{ "edge.*.rules", "reject_spf" },

	{ "queue", "type=aws" },
	{ "queue", "type=custom" },
	{ "queue", "type=proxy" },
	{ "queue", "type=rackspace" },

	{ "policy", "type=lookup" },
	{ "policy", "type=spamassassin" },

	{ "lookup", "type=redis" },
	{ "lookup", "type=sqlite3" },

	{ "relay", "type=custom" },
	{ "relay", "type=http" },
};

static bool kind_matches(const char *pattern, const char *kind)
{
	for (; *pattern; pattern++) {
		if (*pattern == '*') {
			kind += strcspn(kind, ".");
		} else if (*pattern != *kind++) {
			return false;
		}
	}
	return !*kind;
}

bool option_is_unbuilt(const char *kind, const char *name, const struct config_node *node,
	struct config_errors *errors)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].name, name) == 0 && kind_matches(table[i].kind, kind)) {
			config_error_at(errors, node, "not built into this slimta yet");
			return true;
		}
	}
	return false;
}

void option_each_unbuilt(const char *kind, void (*each)(const char *name, void *arg), void *arg)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (kind_matches(table[i].kind, kind))
			each(table[i].name, arg);
	}
}
