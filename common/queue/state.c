/* state.c - what a storage knows of a message, as JSON and back
 * SPDX-License-Identifier: MIT */
#include <limits.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/reply.h"
#include "common/queue/storage.h"

static const char *const outcome_names[] = {
	[OUTCOME_DELAYED] = "delayed", [OUTCOME_WARNED] = "warned", [OUTCOME_DELIVERED] = "delivered",
	[OUTCOME_CONFIRMED] = "confirmed", [OUTCOME_FAILED] = "failed", [OUTCOME_BOUNCED] = "bounced",
};

const char *outcome_name(enum outcome_kind kind)
{
	return outcome_names[kind];
}

static void set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		BUG("no JSON for %s", key);
}

/* A host's name comes from elsewhere: what is no UTF-8 is escaped. */
static json_t *text_to_json(const char *text)
{
	struct buffer escaped = { 0 };
	json_t *string;

	if (utf8_is_valid(text, strlen(text)))
		return json_string(text);
	quoted(&escaped, text, strlen(text));
	string = json_string(buffer_str(&escaped));
	buffer_release(&escaped);
	return string;
}

static json_t *outcomes_to_json(const struct outcomes *done)
{
	json_t *list = json_array();

	for (size_t i = 0; i < done->count; i++) {
		const struct outcome *outcome = &done->items[i];
		json_t *item = json_object();

		set(item, "index", json_integer((json_int_t)outcome->index));
		set(item, "outcome", json_string(outcome_names[outcome->kind]));
		if (!reply_is_none(&outcome->reply))
			set(item, "reply", reply_to_json(&outcome->reply));
		if (outcome->host && *outcome->host)
			set(item, "host", text_to_json(outcome->host));
		if (outcome->time_ms)
			set(item, "time", json_integer(outcome->time_ms));
		if (outcome->tls && *outcome->tls)
			set(item, "tls", text_to_json(outcome->tls));
		json_array_append_new(list, item);
	}
	return list;
}

static json_t *attempts_to_json(const struct message_state *state)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < state->last_count; i++) {
		const struct attempt *attempt = &state->last[i];
		json_t *item = json_object();

		set(item, "time", json_integer(attempt->time_ms));
		if (*attempt->host)
			set(item, "host", text_to_json(attempt->host));
		if (attempt->tls && *attempt->tls)
			set(item, "tls", text_to_json(attempt->tls));
		if (!reply_is_none(&attempt->reply))
			set(item, "reply", reply_to_json(&attempt->reply));
		json_array_append_new(list, item);
	}
	return list;
}

json_t *message_state_to_json(const struct message_state *state, const json_t *other)
{
	static const char *const ours[] = { "attempts", "done", "last", "suspect", "strikes", "held", "bounce",
		"waits" };
	json_t *object = other ? json_copy((json_t *)other) : json_object();

	if (!object)
		BUG("no JSON object");
	for (unsigned i = 0; i < ARRAY_SIZE(ours); i++)
		json_object_del(object, ours[i]);
	set(object, "attempts", json_integer(state->attempts));
	if (state->done.count)
		set(object, "done", outcomes_to_json(&state->done));
	if (state->last_count)
		set(object, "last", attempts_to_json(state));
	if (state->suspect)
		set(object, "suspect", json_true());
	if (state->strikes)
		set(object, "strikes", json_integer(state->strikes));
	if (state->held)
		set(object, "held", text_to_json(state->held));
	if (state->bounce)
		set(object, "bounce", text_to_json(state->bounce));
	if (state->waits)
		set(object, "waits", text_to_json(state->waits));
	return object;
}

static int read_count(const json_t *object, const char *key, unsigned *out)
{
	const json_t *value = json_object_get(object, key);

	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT_MAX)
		return -1;
	*out = (unsigned)json_integer_value(value);
	return 0;
}

static int read_reply(const json_t *item, struct reply *reply)
{
	const json_t *value = json_object_get(item, "reply");

	return value ? reply_from_json(reply, value) : 0;
}

static enum outcome_kind read_kind(const char *name)
{
	size_t kind = name_index(name, outcome_names, ARRAY_SIZE(outcome_names));

	return kind < ARRAY_SIZE(outcome_names) ? (enum outcome_kind)kind : 0;
}

static int read_outcome(const json_t *item, struct outcomes *done)
{
	const json_t *index = json_object_get(item, "index"), *time = json_object_get(item, "time");
	struct outcome outcome = { .kind = read_kind(json_string_value(json_object_get(item, "outcome"))) };
	int result = -1;

	if (json_is_integer(index) && json_integer_value(index) >= 0 && outcome.kind &&
			(!time || json_is_integer(time)) && read_reply(item, &outcome.reply) == 0) {
		outcome.index = (size_t)json_integer_value(index);
		outcome.time_ms = json_integer_value(time);
		outcome.host = (char *)json_string_value(json_object_get(item, "host"));	/* borrowed */
		outcome.tls = (char *)json_string_value(json_object_get(item, "tls"));
		outcomes_add(done, &outcome);
		result = 0;
	}
	reply_release(&outcome.reply);
	return result;
}

static int read_attempt(const json_t *item, struct message_state *state)
{
	const json_t *time = json_object_get(item, "time");
	struct attempt attempt = { .time_ms = json_integer_value(time),
		.host = (char *)json_string_value(json_object_get(item, "host")),		/* borrowed */
		.tls = (char *)json_string_value(json_object_get(item, "tls")) };
	bool good = json_is_integer(time) && read_reply(item, &attempt.reply) == 0;

	if (good)
		message_state_add_attempt(state, &attempt);
	reply_release(&attempt.reply);
	return good ? 0 : -1;
}

static const char *read_members(struct message_state *state, const json_t *object)
{
	const json_t *done = json_object_get(object, "done"), *last = json_object_get(object, "last");
	const json_t *held = json_object_get(object, "held"), *bounce = json_object_get(object, "bounce"), *item;
	const json_t *waits = json_object_get(object, "waits");
	size_t i;

	if (read_count(object, "attempts", &state->attempts) < 0)
		return "attempts is not a count";
	if (read_count(object, "strikes", &state->strikes) < 0)
		return "strikes is not a count";
	if ((held && !json_is_string(held)) || (bounce && !json_is_string(bounce)))
		return "held or bounce is not a text";
	state->suspect = json_is_true(json_object_get(object, "suspect"));
	xstrset(&state->held, json_string_value(held));
	xstrset(&state->bounce, json_string_value(bounce));
	xstrset(&state->waits, json_string_value(waits));
	if ((done && !json_is_array(done)) || (last && !json_is_array(last)))
		return "done or last is not a list";
	json_array_foreach(done, i, item)
		if (read_outcome(item, &state->done) < 0)
			return "an outcome is malformed";
	json_array_foreach(last, i, item)
		if (read_attempt(item, state) < 0)
			return "an attempt is malformed";
	return NULL;
}

int message_state_from_json(struct message_state *state, const json_t *object, const char **why)
{
	memset(state, 0, sizeof(*state));
	*why = json_is_object(object) ? read_members(state, object) : "not an object";
	if (!*why)
		return 0;
	message_state_release(state);
	return -1;
}
