/* client_calls.c - the contract's calls by the socket of a memory queue's worker, all but write
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/queue/memory/client.h"
#include "common/queue/memory/store.h"

#define REASON_MAX 1024

struct plain_call {
	struct call call;
	storage_done_fn *done;
	storage_peeked_fn *peeked;
	storage_list_fn *listed;
	storage_info_fn *info;
	storage_settings_fn *settings;
	bool content;
	void *arg;
};

static void set_senseless(struct reply *why)
{
	reply_set(why, 451, "4.3.0", "The answer of the queue's worker makes no sense");
}

static void ask(struct memory_client *client, const struct plain_call *how, json_t *line, struct buffer *octets)
{
	struct plain_call *call = xmemdup(how, sizeof(*how));

	if (!line)
		BUG("a request that is no JSON");
	call->call.line = line;
	if (octets) {
		call->call.octets = *octets;
		*octets = (struct buffer){ 0 };
	}
	client_ask(client, &call->call);
}

static void plain_free(struct plain_call *plain)
{
	call_release(&plain->call);
	free(plain);
}

/* ---- no more than success or not */

static void on_done(struct call *call, const json_t *line, const struct buffer *octets, const struct reply *why)
{
	struct plain_call *plain = (struct plain_call *)call;

	(void)line;
	(void)octets;
	plain->done(plain->arg, why);
	plain_free(plain);
}

void client_tell(struct memory_client *client, json_t *line, struct buffer *octets, storage_done_fn *done, void *arg)
{
	ask(client, &(struct plain_call){ .call.answered = on_done, .done = done, .arg = arg }, line, octets);
}

void client_discard(struct memory_client *client, const char *const ids[], size_t count, storage_done_fn *done, void *arg)
{
	struct buffer octets = { 0 };

	for (size_t i = 0; i < count; i++)
		if (id_is_valid(ids[i]))
			buffer_appendf(&octets, "%s\n", ids[i]);
	client_tell(client, json_pack("{s:s}", "op", "discard"), &octets, done, arg);
}

/* What is too long for a line is cut, to where the worker refuses it; what is no text is none. */
static json_t *text_or_none(const char *text, size_t max)
{
	char *cut = xstrndup(text ? text : "", max);
	json_t *string = json_string(cut);

	free(cut);
	return string ? string : json_null();
}

void client_mark(struct memory_client *client, const char *id, enum mark mark, const char *reason, storage_done_fn *done,
	void *arg)
{
	json_t *line = json_pack("{s:s, s:o, s:s}", "op", "mark", "id", text_or_none(id, ID_SIZE), "mark", mark_name(mark));

	char *cut = reason ? xstrndup(reason, REASON_MAX) : NULL;

	if (cut)
		json_object_set_new(line, "reason", wire_string(cut));
	free(cut);
	client_tell(client, line, NULL, done, arg);
}

void client_set(struct memory_client *client, const char *key, const char *value, int64_t expiry_ms, storage_done_fn *done,
	void *arg)
{
	json_t *line = json_pack("{s:s, s:o}", "op", "set", "key", text_or_none(key, SETTING_KEY_MAX + 1));

	if (value)
		json_object_set_new(line, "value", text_or_none(value, SETTING_VALUE_MAX + 1));
	if (expiry_ms != INT64_MAX)
		json_object_set_new(line, "expires_in", json_integer(expiry_ms));
	client_tell(client, line, NULL, done, arg);
}

/* ---- peek */

void client_read_peeked(const json_t *line, const struct buffer *octets, bool content, storage_peeked_fn *done, void *arg)
{
	uint64_t known_size = (uint64_t)wire_number(line, "state_bytes", 0);
	json_t *known = known_size <= octets->size ? json_loadb(octets->data, (size_t)known_size, 0, NULL) : NULL;
	struct peeked peeked;
	struct reply why = { 0 };
	bool readable = wire_read_known(known, &peeked) == 0;

	if (readable)
		peeked.envelope = form_read(octets->data + known_size, octets->size - (size_t)known_size, content, &why);
	else
		set_senseless(&why);
	done(arg, reply_is_none(&why) ? NULL : &why, readable ? &peeked : NULL);
	wire_known_release(&peeked);
	reply_release(&why);
	json_decref(known);
}

static void on_peeked(struct call *call, const json_t *line, const struct buffer *octets, const struct reply *why)
{
	struct plain_call *plain = (struct plain_call *)call;

	if (why)
		plain->peeked(plain->arg, why, NULL);
	else
		client_read_peeked(line, octets, plain->content, plain->peeked, plain->arg);
	plain_free(plain);
}

void client_peek(struct memory_client *client, const char *id, bool content, storage_peeked_fn *done, void *arg)
{
	ask(client, &(struct plain_call){ .call.answered = on_peeked, .peeked = done, .content = content, .arg = arg },
		json_pack("{s:s, s:s, s:b}", "op", "peek", "id", id_is_valid(id) ? id : "0", "content", content), NULL);
}

/* ---- list */

void client_read_list(const json_t *line, const struct buffer *octets, storage_list_fn *done, void *arg)
{
	json_t *list = json_loadb(buffer_str(octets), octets->size, 0, NULL);
	struct list_entry *entries = xcalloc(json_array_size(list) + 1, sizeof(*entries));
	const char *cursor = wire_text(line, "cursor");
	struct reply why = { 0 };
	size_t count = 0;

	while (count < json_array_size(list) && wire_read_entry(json_array_get(list, count), &entries[count]) == 0)
		count++;
	if (!json_is_array(list) || count < json_array_size(list) || !cursor || strlen(cursor) >= LIST_CURSOR_SIZE)
		set_senseless(&why);
	done(arg, reply_is_none(&why) ? NULL : &why, entries, reply_is_none(&why) ? count : 0,
		reply_is_none(&why) ? cursor : "");
	for (size_t i = 0; i < count; i++)
		wire_entry_release(&entries[i]);
	free(entries);
	reply_release(&why);
	json_decref(list);
}

static void on_listed(struct call *call, const json_t *line, const struct buffer *octets, const struct reply *why)
{
	struct plain_call *plain = (struct plain_call *)call;

	if (why)
		plain->listed(plain->arg, why, NULL, 0, "");
	else
		client_read_list(line, octets, plain->listed, plain->arg);
	plain_free(plain);
}

void client_list(struct memory_client *client, const struct list_filter *filter, const char *cursor, size_t max,
	storage_list_fn *done, void *arg)
{
	json_t *line = json_pack("{s:s, s:o, s:I, s:o}", "op", "list", "cursor", text_or_none(cursor, LIST_CURSOR_SIZE),
		"max", (json_int_t)max, "filter", wire_filter(filter));

	ask(client, &(struct plain_call){ .call.answered = on_listed, .listed = done, .arg = arg }, line, NULL);
}

/* ---- info */

void client_read_info(const json_t *line, storage_info_fn *done, void *arg)
{
	const struct queue_counts counts = {
		.fresh = (uint64_t)wire_number(line, "fresh", 0),
		.deferred = (uint64_t)wire_number(line, "deferred", 0),
		.leased = (uint64_t)wire_number(line, "leased", 0),
		.held = (uint64_t)wire_number(line, "held", 0),
		.octets = (uint64_t)wire_number(line, "octets", 0),
		.oldest_age_ms = wire_number(line, "oldest_age", -1),
	};

	done(arg, NULL, &counts);
}

static void on_info(struct call *call, const json_t *line, const struct buffer *octets, const struct reply *why)
{
	struct plain_call *plain = (struct plain_call *)call;
	const struct queue_counts none = { .oldest_age_ms = -1 };

	(void)octets;
	if (why)
		plain->info(plain->arg, why, &none);
	else
		client_read_info(line, plain->info, plain->arg);
	plain_free(plain);
}

void client_info(struct memory_client *client, storage_info_fn *done, void *arg)
{
	ask(client, &(struct plain_call){ .call.answered = on_info, .info = done, .arg = arg },
		json_pack("{s:s}", "op", "info"), NULL);
}

/* ---- settings */

void client_read_settings(const struct buffer *octets, storage_settings_fn *done, void *arg)
{
	json_t *list = json_loadb(buffer_str(octets), octets->size, 0, NULL);
	struct setting *settings = xcalloc(json_array_size(list) + 1, sizeof(*settings));
	struct reply why = { 0 };
	size_t count = 0;

	while (count < json_array_size(list) && wire_read_setting(json_array_get(list, count), &settings[count]) == 0)
		count++;
	if (!json_is_array(list) || count < json_array_size(list))
		set_senseless(&why);
	done(arg, reply_is_none(&why) ? NULL : &why, settings, reply_is_none(&why) ? count : 0);
	free(settings);
	reply_release(&why);
	json_decref(list);
}

static void on_settings(struct call *call, const json_t *line, const struct buffer *octets, const struct reply *why)
{
	struct plain_call *plain = (struct plain_call *)call;

	(void)line;
	if (why)
		plain->settings(plain->arg, why, NULL, 0);
	else
		client_read_settings(octets, plain->settings, plain->arg);
	plain_free(plain);
}

void client_settings(struct memory_client *client, storage_settings_fn *done, void *arg)
{
	ask(client, &(struct plain_call){ .call.answered = on_settings, .settings = done, .arg = arg },
		json_pack("{s:s}", "op", "settings"), NULL);
}
