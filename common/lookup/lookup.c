/* lookup.c - what a map, a database or the like knows: its types, reading, asking
 * SPDX-License-Identifier: MIT */
#include "common/lookup/lookup.h"

#include <ctype.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/values.h"
#include "common/lookup/canonical.h"
#include "common/lookup/drivers.h"
#include "common/message/address.h"

static const struct lookup_driver *const drivers[] = {
	&lookup_config,
	NULL
};

struct lookup_query {
	struct lookup *lookup;
	char *address, *localpart, *authzid;	/* what the words are made of */
	lookup_found_fn *found;
	void *arg;
	struct event *answer;			/* of `get`, and of what nobody knows */
	const struct lookup_fields *fields;	/* that `answer` gives */
};

const char *lookup_field(const struct lookup_fields *fields, const char *name)
{
	for (size_t i = 0; i < fields->count; i++) {
		if (strcmp(fields->items[i].name, name) == 0)
			return fields->items[i].value;
	}
	return NULL;
}

/* ---- reading */

#define NAMES_MAX 16
struct names {
	const char *items[NAMES_MAX];
	size_t count;
};

/* The unbuilt ones stand in their table as "type=NAME". */
static void add_unbuilt(const char *name, void *arg)
{
	struct names *names = arg;

	if (text_has_prefix(name, "type=") && names->count < NAMES_MAX)
		names->items[names->count++] = name + strlen("type=");
}

static void say_unknown(const struct config_node *type, struct config_errors *errors)
{
	struct names names = { 0 };
	struct buffer text = { 0 };

	for (size_t i = 0; drivers[i]; i++)
		names.items[names.count++] = drivers[i]->type;
	option_each_unbuilt("lookup", add_unbuilt, &names);
	buffer_append_str(&text, "no type of look-up is called ");
	config_show(&text, type->text);
	option_suggest(&text, type->text, names.items, names.count);
	config_error_at_value(errors, type, "%s", buffer_str(&text));
	buffer_release(&text);
}

static const struct lookup_driver *driver_of(const struct config_node *section, struct config_errors *errors)
{
	const struct config_node *type = config_get(section, "type");
	char *name;

	if (section->kind != CONFIG_MAP) {
		option_expected(section, "a map with the `type` of a look-up", errors);
		return NULL;
	}
	if (!type) {
		option_missing(section, "type", "the type of a look-up", errors);
		return NULL;
	}
	if (type->kind != CONFIG_SCALAR) {
		option_expected(type, "the type of a look-up", errors);
		return NULL;
	}
	for (size_t i = 0; drivers[i]; i++) {
		if (strcmp(type->text, drivers[i]->type) == 0)
			return drivers[i];
	}
	name = xasprintf("type=%s", type->text);
	if (!type->broken && !option_is_unbuilt("lookup", name, type, errors))
		say_unknown(type, errors);
	free(name);
	return NULL;
}

struct lookup *lookup_load(const struct config_node *section, struct config_errors *errors)
{
	static const char *const ignore[] = { "type", NULL };
	const struct lookup_driver *driver = driver_of(section, errors);
	struct lookup *lookup;
	char *kind;
	int result;

	if (!driver)
		return NULL;
	lookup = xcalloc(1, driver->size);
	lookup->driver = driver;
	kind = xasprintf("lookup.%s", driver->type);
	result = options_load(kind, section, &(struct option_set){ driver->options, lookup }, 1, ignore, errors);
	free(kind);
	if (result == 0 && driver->load(lookup, section, errors) == 0)
		return lookup;
	lookup_free(lookup);
	return NULL;
}

void lookup_open(struct lookup *lookup, struct event_base *base)
{
	lookup->base = base;
	if (lookup->driver->open)
		lookup->driver->open(lookup, base);
}

void lookup_free(struct lookup *lookup)
{
	if (!lookup)
		return;
	lookup->driver->close(lookup);
	options_release(lookup->driver->options, lookup);
	free(lookup);
}

void lookup_each(const struct lookup *lookup, const char *field, void (*each)(void *arg,
	const struct config_node *entry, const struct config_node *value), void *arg)
{
	if (lookup->driver->each)
		lookup->driver->each(lookup, field, each, arg);
}

bool lookup_is_listed(const struct lookup *lookup)
{
	return lookup->driver->each;
}

bool lookup_wants_authzid(const struct lookup *lookup)
{
	return lookup->driver->wants_authzid && lookup->driver->wants_authzid(lookup);
}

bool lookup_ignores_address(const struct lookup *lookup)
{
	return lookup->driver->ignores_address && lookup->driver->ignores_address(lookup);
}

void lookup_list_options(struct buffer *out)
{
	for (size_t i = 0; drivers[i]; i++) {
		char *kind = xasprintf("lookup.%s", drivers[i]->type);

		options_list(kind, drivers[i]->options, out);
		free(kind);
	}
}

/* ---- asking */

/* Control characters would mean something to a server that is asked, and are in no name. */
static bool can_be_known(const char *text)
{
	size_t size = 0;

	for (; text && text[size]; size++) {
		if (size == LOOKUP_KEY_MAX || iscntrl((unsigned char)text[size]))
			return false;
	}
	return !text || utf8_is_valid(text, size);
}

static void query_free(struct lookup_query *query)
{
	if (query->answer)
		event_free(query->answer);
	free(query->address);
	free(query->localpart);
	free(query->authzid);
	free(query);
}

static void answer(struct lookup_query *query, const struct lookup_fields *fields, const struct reply *why)
{
	if (!why)
		log_debug("lookup", fields ? "found" : "not found", LOG_TEXT("type", query->lookup->driver->type),
			LOG_TEXT("address", query->address), LOG_TEXT("authzid", query->authzid));
	query->found(query->arg, fields, why);
	query_free(query);
}

static void answer_now(evutil_socket_t fd, short what, void *arg)
{
	struct lookup_query *query = arg;

	(void)fd;
	(void)what;
	answer(query, query->fields, NULL);
}

static void answer_later(struct lookup_query *query)
{
	query->answer = event_new(query->lookup->base, -1, 0, answer_now, query);
	if (!query->answer)
		BUG("no event");
	event_active(query->answer, EV_TIMEOUT, 0);
}

/* What they are made of is the query's. */
static struct lookup_words words_of(struct lookup_query *query, const struct lookup_key *key)
{
	struct lookup_words words = { 0 };

	query->address = canonical_address(key->address);
	query->authzid = key->authzid ? canonical_address(key->authzid) : NULL;
	words.address = query->address;
	words.domain = address_domain(query->address);
	words.authzid = query->authzid;
	query->localpart = xstrndup(words.address, words.domain ? (size_t)(words.domain - words.address) - 1
		: strlen(words.address));
	words.localpart = query->localpart;
	return words;
}

char *lookup_name(const struct lookup *lookup, const struct lookup_key *key)
{
	struct lookup_query *parts = xcalloc(1, sizeof(*parts));
	struct lookup_words words = words_of(parts, key);
	char *name = lookup->driver->name ? lookup->driver->name(lookup, &words) : xstrdup(words.address);

	query_free(parts);
	return name;
}

struct lookup_query *lookup_find(struct lookup *lookup, const struct lookup_key *key, lookup_found_fn *found, void *arg)
{
	struct lookup_query *query = xcalloc(1, sizeof(*query));
	struct lookup_words words;

	query->lookup = lookup;
	query->found = found;
	query->arg = arg;
	if (!can_be_known(key->address) || !can_be_known(key->authzid)) {
		answer_later(query);
		return query;
	}
	words = words_of(query, key);
	if (lookup->driver->get) {
		query->fields = lookup->driver->get(lookup, &words);
		answer_later(query);
	} else {
		lookup->driver->start(lookup, &words, query);
	}
	return query;
}

void lookup_settle(struct lookup_query *query, const struct lookup_fields *fields, const char *error)
{
	struct reply why = { 0 };

	if (error) {
		log_error("lookup", "could not look up", LOG_TEXT("type", query->lookup->driver->type),
			LOG_TEXT("key", query->address), LOG_TEXT("error", error));
		reply_set(&why, 451, "4.3.0", "Look-up failed, try again later");
	}
	answer(query, fields, error ? &why : NULL);
	reply_release(&why);
}

void lookup_cancel(struct lookup_query *query)
{
	if (!query)
		return;
	if (!query->answer)
		query->lookup->driver->cancel(query->lookup, query);
	query_free(query);
}
