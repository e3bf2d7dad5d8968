/* config_map.c - look-ups of type config: a map in slimta.conf itself
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/hash.h"
#include "common/base/memory.h"
#include "common/config/values.h"
#include "common/lookup/canonical.h"
#include "common/lookup/drivers.h"
#include "common/lookup/key_template.h"
#include "common/message/address.h"

struct entry {
	const struct config_node *node;
	struct lookup_fields fields;
};

/* A way to write the key of an entry. */
struct spelling {
	char *folded;			/* in lower case: those that differ in case alone hang together */
	char *key;
	const struct entry *entry;
	struct spelling *next;
	UT_hash_handle hh;
};

struct config_map {
	struct lookup lookup;
	const struct config_node *map;
	struct strings templates;
	struct entry *entries;
	size_t count;
	struct spelling *table;
};

static const struct option rows[] = {
	{ "map", NODE_FIELD(config_map, map), NULL, 0, 0, "what is known: KEY: {FIELD: VALUE}", .required = true },
	{ "key_template", TEXTS_FIELD(config_map, templates), "{address}", 0, 0,
		"the key of an address, of {address} {localpart} {domain} {authzid}; a list is tried in order",
		.check = key_template_check },
	{ 0 }
};

/* ---- reading */

/* The first spelling of a key wins, as the first of a file. */
static void add_spelling(struct config_map *self, const struct entry *entry, const char *key)
{
	struct spelling *added = xcalloc(1, sizeof(*added)), *first, **last;

	added->key = xstrdup(key);
	added->entry = entry;
	added->folded = xstrdup(key);
	text_lower(added->folded);
	HASH_FIND_STR(self->table, added->folded, first);
	if (!first) {
		HASH_ADD_KEYPTR(hh, self->table, added->folded, strlen(added->folded), added);
		return;
	}
	for (last = &first->next; *last; last = &(*last)->next)
		;
	*last = added;
}

/* What is asked for has its domain in A-labels. */
static void add_spellings(struct config_map *self, const struct entry *entry, const char *key)
{
	char *canonical;

	add_spelling(self, entry, key);
	if (address_is_ascii(key))
		return;
	canonical = strchr(key, '@') ? canonical_address(key) : canonical_domain(key);
	if (strcmp(canonical, key) != 0)
		add_spelling(self, entry, canonical);
	free(canonical);
}

static void read_fields(struct lookup_fields *fields, const struct config_node *node, struct config_errors *errors)
{
	fields->items = xcalloc(node->count + 1, sizeof(*fields->items));
	for (size_t i = 0; i < node->count; i++) {
		const struct config_node *value = node->items[i];

		if (value->broken)
			continue;
		if (value->kind != CONFIG_SCALAR) {
			option_expected(value, "text", errors);
			continue;
		}
		fields->items[fields->count++] = (struct lookup_field){ xstrdup(value->key), xstrdup(value->text) };
	}
}

static int load(struct lookup *lookup, const struct config_node *section, struct config_errors *errors)
{
	struct config_map *self = (struct config_map *)lookup;
	size_t before = errors->error_count;

	(void)section;
	if (!self->map || self->map->kind == CONFIG_NULL)	/* not there: that was said where it could not be read */
		return 0;
	if (self->map->kind != CONFIG_MAP) {
		option_expected(self->map, "a map of KEY: {FIELD: VALUE}", errors);
		return -1;
	}
	self->entries = xcalloc(self->map->count + 1, sizeof(*self->entries));
	for (size_t i = 0; i < self->map->count; i++) {
		const struct config_node *node = self->map->items[i];
		struct entry *entry = &self->entries[self->count];

		if (node->broken)
			continue;
		if (node->kind != CONFIG_MAP && node->kind != CONFIG_NULL) {
			/* It may be a secret. */
			config_error_at_value(errors, node, "expected a map of FIELD: VALUE, {} for none, not a %s",
				node->kind == CONFIG_LIST ? "list" : "text");
			continue;
		}
		self->count++;
		entry->node = node;
		entry->fields.key = node->key;
		read_fields(&entry->fields, node, errors);
		add_spellings(self, entry, node->key);
	}
	return errors->error_count == before ? 0 : -1;
}

static void free_spellings(struct spelling *first)
{
	while (first) {
		struct spelling *next = first->next;

		free(first->folded);
		free(first->key);
		free(first);
		first = next;
	}
}

static void close_map(struct lookup *lookup)
{
	struct config_map *self = (struct config_map *)lookup;
	struct spelling *spelling, *next;

	HASH_ITER(hh, self->table, spelling, next) {
		HASH_DEL(self->table, spelling);
		free_spellings(spelling);
	}
	for (size_t i = 0; i < self->count; i++) {
		struct lookup_fields *fields = &self->entries[i].fields;

		for (size_t j = 0; j < fields->count; j++) {
			free(fields->items[j].name);
			free(fields->items[j].value);
		}
		free(fields->items);
	}
	free(self->entries);
}

/* ---- finding */

static bool same(const char *key, const char *asked, const char *parts)
{
	/* `key` and `asked` are of one length, as they are the same in lower case. */
	for (size_t i = 0; key[i]; i++) {
		if (key[i] != asked[i] && parts[i] != 'd')
			return false;
	}
	return true;
}

static const struct entry *find(const struct config_map *self, const char *asked, const char *parts)
{
	char *folded = xstrdup(asked);
	const struct spelling *spelling;

	text_lower(folded);
	HASH_FIND_STR(self->table, folded, spelling);
	free(folded);
	while (spelling && !same(spelling->key, asked, parts))
		spelling = spelling->next;
	return spelling ? spelling->entry : NULL;
}

static const struct lookup_fields *get(struct lookup *lookup, const struct lookup_words *words)
{
	const struct config_map *self = (const struct config_map *)lookup;
	struct buffer key = { 0 }, parts = { 0 };
	const struct entry *found = NULL;

	for (size_t i = 0; i < self->templates.count && !found; i++) {
		if (key_template_fill(self->templates.items[i], words, &key, &parts))
			found = find(self, buffer_str(&key), buffer_str(&parts));
	}
	buffer_release(&key);
	buffer_release(&parts);
	return found ? &found->fields : NULL;
}

/* The last template is what all are tried by in the end. */
static char *name_of(const struct lookup *lookup, const struct lookup_words *words)
{
	const struct config_map *self = (const struct config_map *)lookup;
	struct buffer key = { 0 };

	for (size_t i = self->templates.count; i--;) {
		if (key_template_fill(self->templates.items[i], words, &key, NULL))
			return buffer_detach(&key);
	}
	buffer_release(&key);
	return xstrdup(words->address);
}

static void each_entry(const struct lookup *lookup, const char *field, void (*each)(void *arg,
	const struct config_node *entry, const struct config_node *value), void *arg)
{
	const struct config_map *self = (const struct config_map *)lookup;

	for (size_t i = 0; i < self->count; i++)
		each(arg, self->entries[i].node, config_get(self->entries[i].node, field));
}

static bool wants_authzid(const struct lookup *lookup)
{
	const struct config_map *self = (const struct config_map *)lookup;

	for (size_t i = 0; i < self->templates.count; i++) {
		if (!key_template_wants_authzid(self->templates.items[i]))
			return false;
	}
	return true;
}

static bool ignores_address(const struct lookup *lookup)
{
	const struct config_map *self = (const struct config_map *)lookup;

	for (size_t i = 0; i < self->templates.count; i++) {
		const char *template = self->templates.items[i];

		if (key_template_wants_authzid(template) && !key_template_wants_address(template))
			return true;
	}
	return false;
}

const struct lookup_driver lookup_config = {
	.type = "config",
	.size = sizeof(struct config_map),
	.options = rows,
	.load = load,
	.close = close_map,
	.get = get,
	.name = name_of,
	.each = each_entry,
	.wants_authzid = wants_authzid,
	.ignores_address = ignores_address,
};
