/* wire_filter.c - a filter of list() as JSON and back
 * SPDX-License-Identifier: MIT
 * A filter that is understood half would show, or steer, what was not meant: there is no such thing. */
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/queue/memory/wire.h"

static const struct {
	const char *name;
	size_t at;
} texts[] = {
	{ "id", offsetof(struct list_filter, id) },
	{ "sender", offsetof(struct list_filter, sender) },
	{ "recipient", offsetof(struct list_filter, recipient) },
	{ "domain", offsetof(struct list_filter, domain) },
	{ "reply", offsetof(struct list_filter, reply) },
};

static const char **text_of(const struct list_filter *filter, size_t row)
{
	return (const char **)((char *)filter + texts[row].at);
}

static void set_number(json_t *object, const char *name, int64_t number)
{
	if (number)
		json_object_set_new(object, name, json_integer(number));
}

json_t *wire_filter(const struct list_filter *filter)
{
	json_t *object = json_object(), *places = json_array();

	for (size_t i = 0; filter && i < ARRAY_SIZE(texts); i++) {
		const char *text = *text_of(filter, i);
		json_t *value = text && strlen(text) <= LIST_PATTERN_MAX ? json_string(text) : NULL;

		if (text)
			json_object_set_new(object, texts[i].name, value ? value : json_null());
	}
	for (enum message_place place = PLACE_NEW; filter && place <= PLACE_HELD; place++)
		if (filter->places & PLACE_BIT(place))
			json_array_append_new(places, json_string(place_name(place)));
	if (json_array_size(places))
		json_object_set(object, "places", places);
	json_decref(places);
	if (!filter)
		return object;
	set_number(object, "older", filter->older_ms);
	set_number(object, "younger", filter->younger_ms);
	set_number(object, "attempts_least", filter->attempts_least);
	set_number(object, "attempts_below", filter->attempts_below);
	return object;
}

static bool read_text(const char *name, const json_t *value, struct list_filter *filter)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(texts[i].name, name) != 0)
			continue;
		*text_of(filter, i) = json_string_value(value);
		return json_is_string(value) && json_string_length(value) <= LIST_PATTERN_MAX;
	}
	return false;
}

static bool read_places(const json_t *list, struct list_filter *filter)
{
	enum message_place place;
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		if (!place_find(json_string_value(item), &place))
			return false;
		filter->places |= PLACE_BIT(place);
	}
	return filter->places != 0;
}

static bool read_ms(const json_t *value, int64_t *ms)
{
	*ms = (int64_t)json_integer_value(value);
	return *ms > 0;
}

static bool read_count(const json_t *value, unsigned *count)
{
	int64_t number = (int64_t)json_integer_value(value);

	*count = (unsigned)number;
	return number > 0 && number <= UINT_MAX;
}

static bool read_member(const char *name, const json_t *value, struct list_filter *filter)
{
	if (strcmp(name, "places") == 0)
		return read_places(value, filter);
	if (strcmp(name, "older") == 0)
		return read_ms(value, &filter->older_ms);
	if (strcmp(name, "younger") == 0)
		return read_ms(value, &filter->younger_ms);
	if (strcmp(name, "attempts_least") == 0)
		return read_count(value, &filter->attempts_least);
	if (strcmp(name, "attempts_below") == 0)
		return read_count(value, &filter->attempts_below);
	return read_text(name, value, filter);
}

int wire_read_filter(const json_t *object, struct list_filter *filter)
{
	const char *name;
	json_t *value;

	*filter = (struct list_filter){ 0 };
	if (!object)
		return 0;
	if (!json_is_object(object))
		return -1;
	json_object_foreach((json_t *)object, name, value) {
		if (!read_member(name, value, filter))
			return -1;
	}
	return 0;
}
