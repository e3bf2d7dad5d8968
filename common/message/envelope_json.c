/* envelope_json.c - an envelope as JSON and back
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/envelope.h"

static const char *const body_names[] = { NULL, "7BIT", "8BITMIME", "BINARYMIME" };
static const struct {
	unsigned bit;
	const char *name;
} notify_names[] = {
	{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" },
	{ NOTIFY_DELAY, "DELAY" },
};

/* Memory that is gone shall abort, as everywhere; a NULL from jansson would look like damaged JSON. */
__attribute__((constructor)) static void abort_without_memory(void)
{
	json_set_alloc_funcs(xmalloc, free);
}

/* ---- writing */

static void set_text(json_t *object, const char *key, const char *text)
{
	struct buffer clean = { 0 };

	if (!text)
		return;
	if (json_object_set_new(object, key, json_string(text)) == 0)
		return;
	escaped(&clean, text, strlen(text));
	json_object_set_new(object, key, json_stringn(buffer_str(&clean), clean.size));
	buffer_release(&clean);
}

static json_t *with_others(json_t *object, json_t *other)
{
	if (other)
		json_object_update_missing(object, other);
	return object;
}

static json_t *recipient_to_json(const struct recipient *recipient)
{
	json_t *object = json_object();

	set_text(object, "address", recipient->address);
	if (recipient->notify) {
		json_t *names = json_array();

		for (size_t i = 0; i < ARRAY_SIZE(notify_names); i++)
			if (recipient->notify & notify_names[i].bit)
				json_array_append_new(names, json_string(notify_names[i].name));
		json_object_set_new(object, "notify", names);
	}
	set_text(object, "orcpt", recipient->orcpt);
	return with_others(object, recipient->other);
}

static json_t *recipients_to_json(const struct envelope *envelope)
{
	json_t *array = json_array();

	for (size_t i = 0; i < envelope->recipient_count; i++)
		json_array_append_new(array, recipient_to_json(&envelope->recipients[i]));
	return array;
}

static json_t *client_to_json(const struct client *client)
{
	json_t *object = json_object();

	set_text(object, "ip", client->ip);
	set_text(object, "host", client->host);
	set_text(object, "name", client->name);
	set_text(object, "protocol", client->protocol);
	set_text(object, "auth", client->auth);
	set_text(object, "tls", client->tls);
	return with_others(object, client->other);
}

static void set_parameters(json_t *object, const struct envelope *envelope)
{
	if (envelope->body != BODY_UNKNOWN)
		set_text(object, "body", body_names[envelope->body]);
	if (envelope->smtputf8)
		json_object_set_new(object, "smtputf8", json_true());
	if (envelope->requiretls)
		json_object_set_new(object, "requiretls", json_true());
	if (envelope->size && envelope->size <= INT64_MAX)
		json_object_set_new(object, "size", json_integer((json_int_t)envelope->size));
	if (envelope->ret)
		set_text(object, "ret", envelope->ret == 'F' ? "FULL" : "HDRS");
	set_text(object, "envid", envelope->envid);
}

json_t *envelope_to_json(const struct envelope *envelope)
{
	json_t *object = json_object();
	json_t *client = client_to_json(&envelope->client);

	json_object_set_new(object, "version", json_integer(ENVELOPE_VERSION));
	set_text(object, "id", envelope->id);
	if (envelope->origin[0])
		set_text(object, "origin", envelope->origin);
	set_text(object, "sender", envelope->sender ? envelope->sender : "");
	json_object_set_new(object, "recipients", recipients_to_json(envelope));
	if (json_object_size(client))
		json_object_set(object, "client", client);
	json_decref(client);
	set_text(object, "receiver", envelope->receiver);
	json_object_set_new(object, "timestamp", json_integer(envelope->timestamp_ms));
	set_parameters(object, envelope);
	return with_others(object, envelope->other);
}

/* ---- reading: each reader of a member gives false with *why where the type is wrong */

static bool wrong(const char **why, const char *text)
{
	*why = text;
	return false;
}

static bool get_text(const json_t *object, const char *key, char **out, const char **why)
{
	const json_t *value = json_object_get(object, key);

	if (!value)
		return true;
	if (!json_is_string(value))
		return wrong(why, "a text member is no text");
	xstrset(out, json_string_value(value));
	return true;
}

static bool get_bool(const json_t *object, const char *key, bool *out, const char **why)
{
	const json_t *value = json_object_get(object, key);

	*out = json_is_true(value);
	return !value || json_is_boolean(value) || wrong(why, "a member that says yes or no says neither");
}

static bool get_id(const json_t *object, const char *key, char out[ID_SIZE], const char **why)
{
	const char *id = json_string_value(json_object_get(object, key));

	if (!id || !id_is_valid(id))
		return wrong(why, "an id that is none");
	memcpy(out, id, ID_SIZE);
	return true;
}

/* Keeps what we do not know. The members are shared: nobody changes them. */
static json_t *others(const json_t *object, const char *const known[])
{
	json_t *other = NULL, *value;
	const char *key;

	json_object_foreach((json_t *)object, key, value) {
		size_t i = 0;

		while (known[i] && strcmp(known[i], key))
			i++;
		if (known[i])
			continue;
		if (!other)
			other = json_object();
		json_object_set(other, key, value);
	}
	return other;
}

static bool get_notify(const json_t *array, unsigned *out, const char **why)
{
	if (!array)
		return true;
	if (!json_is_array(array))
		return wrong(why, "notify is no list");
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));
		size_t j = 0;

		while (name && j < ARRAY_SIZE(notify_names) && strcmp(name, notify_names[j].name))
			j++;
		if (!name || j == ARRAY_SIZE(notify_names))
			return wrong(why, "notify has a member that is not known");
		*out |= notify_names[j].bit;
	}
	return true;
}

static bool get_recipients(const json_t *array, struct envelope *envelope, const char **why)
{
	static const char *const known[] = { "address", "notify", "orcpt", NULL };

	if (!json_is_array(array))
		return wrong(why, "recipients is no list");
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *object = json_array_get(array, i);
		const char *address = json_string_value(json_object_get(object, "address"));
		struct recipient *recipient;

		if (!address)
			return wrong(why, "a recipient without an address");
		recipient = envelope_add_recipient(envelope, address);
		if (!get_notify(json_object_get(object, "notify"), &recipient->notify, why) ||
				!get_text(object, "orcpt", &recipient->orcpt, why))
			return false;
		recipient->other = others(object, known);
	}
	return true;
}

static bool get_client(const json_t *object, struct client *client, const char **why)
{
	static const char *const known[] = { "ip", "host", "name", "protocol", "auth", "tls", NULL };

	if (!object)
		return true;
	if (!json_is_object(object))
		return wrong(why, "client is no object");
	client->other = others(object, known);
	return get_text(object, "ip", &client->ip, why) && get_text(object, "host", &client->host, why) &&
		get_text(object, "name", &client->name, why) &&
		get_text(object, "protocol", &client->protocol, why) &&
		get_text(object, "auth", &client->auth, why) && get_text(object, "tls", &client->tls, why);
}

static bool get_body(const json_t *value, enum body_type *out, const char **why)
{
	size_t body = name_index(json_string_value(value), body_names, ARRAY_SIZE(body_names));

	if (!value)
		return true;
	if (body == ARRAY_SIZE(body_names))
		return wrong(why, "a body type that is not known");
	*out = (enum body_type)body;
	return true;
}

static bool get_ret(const json_t *value, char *out, const char **why)
{
	const char *name = json_string_value(value);

	if (!value)
		return true;
	if (!name || (strcmp(name, "FULL") && strcmp(name, "HDRS")))
		return wrong(why, "ret is neither FULL nor HDRS");
	*out = name[0];
	return true;
}

static bool get_numbers(const json_t *object, struct envelope *envelope, const char **why)
{
	const json_t *timestamp = json_object_get(object, "timestamp");
	const json_t *size = json_object_get(object, "size");

	if (!json_is_integer(timestamp))
		return wrong(why, "timestamp is no number");
	envelope->timestamp_ms = json_integer_value(timestamp);
	if (size && (!json_is_integer(size) || json_integer_value(size) < 0))
		return wrong(why, "size is no number");
	envelope->size = (uint64_t)json_integer_value(size);
	return true;
}

static bool get_members(const json_t *object, struct envelope *envelope, const char **why)
{
	if (!json_is_object(object))
		return wrong(why, "the envelope is no object");
	if (!get_id(object, "id", envelope->id, why))
		return false;
	if (json_object_get(object, "origin") && !get_id(object, "origin", envelope->origin, why))
		return false;
	if (!json_object_get(object, "sender"))
		return wrong(why, "no sender");
	return get_text(object, "sender", &envelope->sender, why) &&
		get_recipients(json_object_get(object, "recipients"), envelope, why) &&
		get_client(json_object_get(object, "client"), &envelope->client, why) &&
		get_text(object, "receiver", &envelope->receiver, why) &&
		get_numbers(object, envelope, why) &&
		get_body(json_object_get(object, "body"), &envelope->body, why) &&
		get_bool(object, "smtputf8", &envelope->smtputf8, why) &&
		get_bool(object, "requiretls", &envelope->requiretls, why) &&
		get_ret(json_object_get(object, "ret"), &envelope->ret, why) &&
		get_text(object, "envid", &envelope->envid, why);
}

struct envelope *envelope_from_json(const json_t *object, const char **why)
{
	static const char *const known[] = {
		"version", "needs", "id", "origin", "sender", "recipients", "client", "receiver", "timestamp",
		"body", "smtputf8", "requiretls", "size", "ret", "envid", NULL
	};
	struct envelope *envelope = xcalloc(1, sizeof(*envelope));

	content_init(&envelope->content);
	if (!get_members(object, envelope, why)) {
		envelope_free(envelope);
		return NULL;
	}
	envelope->other = others(object, known);
	return envelope;
}
