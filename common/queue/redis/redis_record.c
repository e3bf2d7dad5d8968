/* redis_record.c - what scripts say of a message
 * SPDX-License-Identifier: MIT
 * Others can write into redis: nothing of it is trusted. */
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/memory.h"
#include "common/queue/redis/redis_queue.h"

/* ---- replies */

const struct redisReply *redis_item(const struct redisReply *reply, size_t at)
{
	static const struct redisReply nil = { .type = REDIS_REPLY_NIL };

	return reply && reply->type == REDIS_REPLY_ARRAY && at < reply->elements ? reply->element[at] : &nil;
}

static bool is_text(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

int64_t redis_number(const struct redisReply *reply, int64_t fallback)
{
	uint64_t number;

	if (reply->type == REDIS_REPLY_INTEGER)
		return reply->integer;
	if (is_text(reply) && parse_u64(reply->str, (size_t)reply->len, REDIS_TIME_MAX, &number))
		return (int64_t)number;
	return fallback;
}

bool redis_text_is(const struct redisReply *reply, const char *text)
{
	return is_text(reply) && (size_t)reply->len == strlen(text) && memcmp(reply->str, text, strlen(text)) == 0;
}

static char *text_of(const struct redisReply *reply)
{
	return is_text(reply) ? xstrndup(reply->str, (size_t)reply->len) : NULL;
}

/* ---- state */

int redis_state_read(const struct redisReply *reply, struct message_state *state, json_t **other, const char **why)
{
	json_t *object;

	*state = (struct message_state){ 0 };
	*other = NULL;
	if (reply->type == REDIS_REPLY_NIL)
		return 0;
	object = is_text(reply) ? json_loadb(reply->str, (size_t)reply->len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (!object) {
		*why = "its state is no JSON";
		return -1;
	}
	if (message_state_from_json(state, object, why) < 0) {
		json_decref(object);
		return -1;
	}
	*other = object;
	return 0;
}

char *redis_state_text(const struct message_state *state, const json_t *other)
{
	json_t *object = message_state_to_json(state, other);
	char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(object);
	if (!text)
		BUG("a state that is no JSON");
	return text;
}

/* ---- marks */

void redis_mark_line(struct buffer *out, enum mark mark, const char *reason)
{
	struct buffer quoted_reason = { 0 };

	buffer_appendf(out, "{\"mark\": \"%s\"", mark_name(mark));
	if (reason && (mark == MARK_HOLD || mark == MARK_BOUNCE)) {
		json_escaped(&quoted_reason, reason, strlen(reason));
		buffer_appendf(out, ", \"reason\": \"%s\"", buffer_str(&quoted_reason));
	}
	buffer_append_str(out, "}\n");
	buffer_release(&quoted_reason);
}

void redis_marks_release(struct redis_marks *marks)
{
	for (size_t i = 0; i < marks->count; i++)
		free(marks->items[i].reason);
	free(marks->items);
	*marks = (struct redis_marks){ 0 };
}

static bool read_mark(const char *line, size_t size, struct redis_marks *marks)
{
	json_t *object = json_loadb(line, size, 0, NULL);
	const char *reason = json_string_value(json_object_get(object, "reason"));
	enum mark mark;
	bool good = mark_find(json_string_value(json_object_get(object, "mark")), &mark);

	if (good) {
		marks->items = xgrow(marks->items, marks->count, sizeof(*marks->items));
		marks->items[marks->count++] = (struct redis_mark){ mark, reason ? xstrdup(reason) : NULL };
	}
	json_decref(object);
	return good;
}

int redis_marks_read(const struct redisReply *reply, struct redis_marks *marks, const char **why)
{
	const char *at, *end, *line_end;

	*marks = (struct redis_marks){ 0 };
	if (!is_text(reply))
		return 0;
	for (at = reply->str, end = at + reply->len; at < end; at = line_end + 1) {
		line_end = memchr(at, '\n', (size_t)(end - at));
		if (line_end && marks->count < 2 * REDIS_MARKS_MAX && read_mark(at, (size_t)(line_end - at), marks))
			continue;
		redis_marks_release(marks);
		*why = "what was asked of it cannot be read";
		return -1;
	}
	return 0;
}

bool redis_obey(const struct redis_queue *queue, const char *id, const struct redis_marks *marks, bool with_result,
	struct message_state *state, int64_t *due_ms, int64_t now_ms)
{
	for (size_t i = 0; i < marks->count; i++) {
		const struct redis_mark *mark = &marks->items[i];

		if (with_result && mark_is_of_death(mark->mark))
			continue;
		if (!storage_obey(&queue->storage, id, state, mark->mark, mark->reason, due_ms, now_ms))
			return false;
	}
	return true;
}

/* ---- a record */

/* What record() gives: id, its FIELDS, and the size of the content. */
enum { AT_ID, AT_PLACE, AT_VERSION, AT_EPOCH, AT_DUE, AT_STATE, AT_MARKS, AT_OWNER, AT_SINCE, AT_UNTIL, AT_SUSPECT, AT_BACK,
	AT_HEAD, AT_OCTETS };

static void read_place(const struct redisReply *reply, enum message_place *place, const char **damage)
{
	char *name = text_of(reply);

	if (!name || !place_find(name, place))
		*damage = "its place is none";
	free(name);
}

static void read_fields(struct redis_record *record, const struct redisReply *reply, int64_t now_ms)
{
	const struct redisReply *head = redis_item(reply, AT_HEAD);

	read_place(redis_item(reply, AT_PLACE), &record->place, &record->damage);
	record->version = (uint64_t)redis_number(redis_item(reply, AT_VERSION), 0);
	record->epoch = (uint64_t)redis_number(redis_item(reply, AT_EPOCH), 0);
	record->due_ms = redis_number(redis_item(reply, AT_DUE), 0);
	record->since_ms = redis_number(redis_item(reply, AT_SINCE), 0);
	record->until_ms = redis_number(redis_item(reply, AT_UNTIL), 0);
	record->octets = (uint64_t)redis_number(redis_item(reply, AT_OCTETS), 0);
	record->suspect = redis_text_is(redis_item(reply, AT_SUSPECT), "1");
	record->state_text = text_of(redis_item(reply, AT_STATE));
	record->owner = record->place == PLACE_LEASED ? text_of(redis_item(reply, AT_OWNER)) : NULL;
	redis_state_read(redis_item(reply, AT_STATE), &record->state, &record->other, &record->damage);
	redis_marks_read(redis_item(reply, AT_MARKS), &record->marks, &record->damage);
	record->back = PLACE_DEFERRED;
	if (record->place == PLACE_LEASED && redis_item(reply, AT_BACK)->type != REDIS_REPLY_NIL)
		read_place(redis_item(reply, AT_BACK), &record->back, &record->damage);
	if (is_text(head))
		buffer_append(&record->head, head->str, (size_t)head->len);
	else
		record->damage = "it has no head";
	record->state.due_in_ms = record->due_ms ? record->due_ms - now_ms : 0;
}

int redis_record_read(struct redis_record *record, const struct redisReply *reply, int64_t now_ms)
{
	const struct redisReply *id = redis_item(reply, AT_ID);

	*record = (struct redis_record){ 0 };
	if (!is_text(id))
		return -1;
	snprintf(record->id, sizeof(record->id), "%s", id->str);
	if (reply->elements > 2)
		read_fields(record, reply, now_ms);
	else
		record->damage = "its key holds something else";
	if (!record->damage)
		return 0;
	record->place = record->place == PLACE_LEASED ? PLACE_LEASED : PLACE_HELD;
	if (!record->state.held)
		record->state.held = xstrdup("damaged");
	return 0;
}

void redis_record_release(struct redis_record *record)
{
	message_state_release(&record->state);
	json_decref(record->other);
	free(record->state_text);
	redis_marks_release(&record->marks);
	free(record->owner);
	buffer_release(&record->head);
	*record = (struct redis_record){ 0 };
}

/* ---- the message */

static enum stored_result decode_head(const struct buffer *head, uint64_t size, struct envelope **envelope, const char **why)
{
	struct stored_extent extent;
	enum stored_result result = stored_decode_head(head->data, head->size, false, envelope, &extent, why);

	if (result != STORED_OK)
		return result;
	if (extent.octets_at != head->size || extent.size - extent.octets_at != size) {
		*why = "its content is not as long as it says";
		result = STORED_DAMAGED;
	} else if (size) {
		/* Reading it fails, as it has to. */
		(*envelope)->content.fd = FAULT("redis.open", open("/dev/null", O_RDONLY | O_CLOEXEC));
		(*envelope)->content.fd_size = size;
		if ((*envelope)->content.fd >= 0)
			return STORED_OK;
		*why = "no descriptor is left";
		result = STORED_FAILED;
	} else {
		return STORED_OK;
	}
	envelope_free(*envelope);
	*envelope = NULL;
	return result;
}

enum stored_result redis_decode(const struct buffer *head, const void *octets, uint64_t size, struct envelope **envelope,
	const char **why)
{
	enum stored_result result;
	struct buffer whole = { 0 };

	*envelope = NULL;
	if (!head->size) {
		*why = "it has no head";
		return STORED_DAMAGED;
	}
	if (!octets)
		return decode_head(head, size, envelope, why);
	buffer_reserve(&whole, head->size + (size_t)size);
	buffer_append(&whole, head->data, head->size);
	buffer_append(&whole, octets, (size_t)size);
	result = stored_decode(whole.data, whole.size, envelope, why);
	buffer_release(&whole);
	return result;
}
