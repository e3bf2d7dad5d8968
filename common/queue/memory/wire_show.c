/* wire_show.c - what is known of messages, and settings, as JSON and back
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/queue/memory/wire.h"

static void set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		BUG("no JSON for %s", key);
}

json_t *wire_string(const char *value)
{
	struct buffer clean = { 0 };
	json_t *string;

	if (utf8_is_valid(value, strlen(value)))
		return json_string(value);
	escaped(&clean, value, strlen(value));
	string = json_string(buffer_str(&clean));
	buffer_release(&clean);
	return string;
}

static void set_text(json_t *object, const char *key, const char *value)
{
	if (value)
		set(object, key, wire_string(value));
}

static const char *const phase_names[] = {
	[LEASE_PHASE_UNKNOWN] = "unknown", [LEASE_CLAIMED] = "claimed", [LEASE_IN_LINE] = "in line",
	[LEASE_BEGUN] = "begun", [LEASE_PAST_THE_DOT] = "past the dot",
};

static void set_phase(json_t *object, enum lease_phase phase, int64_t leased_for_ms, int64_t in_phase_ms)
{
	set(object, "leased_for", json_integer(leased_for_ms));
	if (phase == LEASE_PHASE_UNKNOWN)
		return;
	set_text(object, "phase", phase_names[phase]);
	set(object, "in_phase", json_integer(in_phase_ms));
}

static enum lease_phase read_phase(const json_t *object)
{
	size_t phase = name_index(wire_text(object, "phase"), phase_names, ARRAY_SIZE(phase_names));

	return phase < ARRAY_SIZE(phase_names) ? (enum lease_phase)phase : LEASE_PHASE_UNKNOWN;
}

static json_t *done_to_json(const struct outcomes *done)
{
	json_t *list = json_array();

	for (size_t i = 0; i < done->count; i++)
		json_array_append_new(list, json_pack("{s:I, s:s}", "index", (json_int_t)done->items[i].index, "outcome",
			outcome_name(done->items[i].kind)));
	return list;
}

json_t *wire_entry(const struct list_entry *entry)
{
	json_t *object = json_object(), *recipients = json_array();

	for (size_t i = 0; i < entry->recipient_count; i++)
		json_array_append_new(recipients, wire_string(entry->recipients[i].address));
	set_text(object, "id", entry->id);
	if (*entry->origin)
		set_text(object, "origin", entry->origin);
	set_text(object, "sender", entry->sender);
	set(object, "recipients", recipients);
	set(object, "size", json_integer((json_int_t)entry->size));
	set(object, "age", json_integer(entry->age_ms));
	set(object, "attempts", json_integer(entry->attempts));
	set(object, "due_in", json_integer(entry->due_in_ms));
	set_text(object, "place", place_name(entry->place));
	set_text(object, "owner", entry->owner);
	set_text(object, "held", entry->held);
	set_text(object, "waits", entry->waits);
	set_phase(object, entry->phase, entry->leased_for_ms, entry->in_phase_ms);
	if (entry->done)
		set(object, "done", done_to_json(entry->done));
	if (entry->last)
		set(object, "last", reply_to_json(entry->last));
	return object;
}

static int read_recipients(const json_t *list, struct list_entry *entry)
{
	struct recipient *recipients;

	if (!json_is_array(list))
		return -1;
	recipients = xcalloc(json_array_size(list) + 1, sizeof(*recipients));
	entry->recipients = recipients;
	for (; entry->recipient_count < json_array_size(list); entry->recipient_count++) {
		const char *address = json_string_value(json_array_get(list, entry->recipient_count));

		if (!address)
			return -1;
		recipients[entry->recipient_count].address = (char *)address;	/* borrowed */
	}
	return 0;
}

/* As it stands in a state. */
static int read_done(json_t *list, struct list_entry *entry)
{
	struct message_state state = { 0 };
	json_t *object = list ? json_pack("{s:O}", "done", list) : NULL;
	struct outcomes *done;
	const char *why;
	int result = object ? message_state_from_json(&state, object, &why) : 0;

	json_decref(object);
	if (!state.done.count)
		return result;
	done = xmalloc(sizeof(*done));
	*done = state.done;
	entry->done = done;
	return 0;
}

static int read_last(const json_t *value, struct list_entry *entry)
{
	struct reply *last;

	if (!value)
		return 0;
	last = xcalloc(1, sizeof(*last));
	entry->last = last;
	return reply_from_json(last, value);
}

int wire_read_entry(const json_t *object, struct list_entry *entry)
{
	const char *id = wire_text(object, "id"), *origin = wire_text(object, "origin");

	*entry = (struct list_entry){ 0 };
	entry->sender = wire_text(object, "sender");
	if (!id || !id_is_valid(id) || (origin && !id_is_valid(origin)) || !entry->sender ||
			!place_find(wire_text(object, "place"), &entry->place))
		return -1;
	memcpy(entry->id, id, ID_SIZE);
	if (origin)
		memcpy(entry->origin, origin, ID_SIZE);
	entry->size = (uint64_t)wire_number(object, "size", 0);
	entry->age_ms = wire_number(object, "age", 0);
	entry->attempts = (unsigned)wire_number(object, "attempts", 0);
	entry->due_in_ms = wire_number(object, "due_in", 0);
	entry->owner = wire_text(object, "owner");
	entry->held = wire_text(object, "held");
	entry->waits = wire_text(object, "waits");
	entry->phase = read_phase(object);
	entry->leased_for_ms = wire_number(object, "leased_for", 0);
	entry->in_phase_ms = wire_number(object, "in_phase", 0);
	if (read_recipients(json_object_get(object, "recipients"), entry) == 0 &&
			read_done(json_object_get(object, "done"), entry) == 0 &&
			read_last(json_object_get(object, "last"), entry) == 0)
		return 0;
	wire_entry_release(entry);
	return -1;
}

void wire_entry_release(struct list_entry *entry)
{
	free((void *)entry->recipients);
	if (entry->done)
		outcomes_release((struct outcomes *)entry->done);
	free((void *)entry->done);
	if (entry->last)
		reply_release((struct reply *)entry->last);
	free((void *)entry->last);
	*entry = (struct list_entry){ 0 };
}

json_t *wire_setting(const struct setting *setting)
{
	json_t *object = json_object();

	set_text(object, "key", setting->key);
	set_text(object, "value", setting->value);
	if (setting->expires_in_ms != INT64_MAX)
		set(object, "expires_in", json_integer(setting->expires_in_ms));
	return object;
}

int wire_read_setting(const json_t *object, struct setting *setting)
{
	*setting = (struct setting){ wire_text(object, "key"), wire_text(object, "value"),
		wire_number(object, "expires_in", INT64_MAX) };
	return setting->key && setting->value ? 0 : -1;
}

json_t *wire_known(const struct peeked *known)
{
	json_t *object = json_object(), *asked = json_array();

	for (size_t i = 0; i < known->asked.count; i++)
		json_array_append_new(asked, wire_string(known->asked.items[i]));
	set(object, "state", message_state_to_json(&known->state, NULL));
	set(object, "due_in", json_integer(known->state.due_in_ms));
	set_text(object, "place", place_name(known->place));
	set_text(object, "owner", known->owner);
	set_phase(object, known->phase, known->leased_for_ms, known->in_phase_ms);
	set(object, "asked", asked);
	return object;
}

static int read_asked(const json_t *list, struct strings *asked)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		if (!json_is_string(item))
			return -1;
		strings_add(asked, json_string_value(item));
	}
	return 0;
}

int wire_read_known(const json_t *object, struct peeked *known)
{
	const char *owner = wire_text(object, "owner"), *why;

	*known = (struct peeked){ .leased_for_ms = wire_number(object, "leased_for", -1) };
	if (message_state_from_json(&known->state, json_object_get(object, "state"), &why) == 0 &&
			place_find(wire_text(object, "place"), &known->place) &&
			read_asked(json_object_get(object, "asked"), &known->asked) == 0) {
		known->state.due_in_ms = wire_number(object, "due_in", 0);
		known->owner = owner ? xstrdup(owner) : NULL;
		known->phase = read_phase(object);
		known->in_phase_ms = wire_number(object, "in_phase", 0);
		return 0;
	}
	wire_known_release(known);
	return -1;
}

void wire_known_release(struct peeked *known)
{
	envelope_free(known->envelope);
	message_state_release(&known->state);
	strings_release(&known->asked);
	free(known->owner);
	*known = (struct peeked){ .leased_for_ms = -1 };
}
