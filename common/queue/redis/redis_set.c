/* redis_set.c - settings that all who share the queue see: a hash, key -> {"value": ..., "expires": ...}
 * SPDX-License-Identifier: MIT
 * They expire by redis' clock; those that have are left out, and taken away where room is wanted. */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/redis_queue.h"

struct set_op {
	struct redis_queue *queue;
	storage_done_fn *done;
	storage_settings_fn *listed;
	void *arg;
};

/* ---- set */

static void on_set(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct set_op *op = arg;
	struct reply full = { 0 };

	if (!why && !redis_text_is(reply, "ok")) {
		reply_set(&full, 452, "4.3.1", "There are too many settings");
		why = &full;
	}
	op->done(op->arg, why);
	reply_release(&full);
	free(op);
}

void redis_set(struct storage *storage, const char *key, const char *value, int64_t expiry_ms, storage_done_fn *done, void *arg)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	struct buffer json = { 0 };
	struct reply why = { 0 };
	char expiry[REDIS_NUMBER_SIZE] = "", most[REDIS_NUMBER_SIZE];

	if (setting_check(key, value, &why) < 0) {
		tasks_answer(&queue->tasks, done, arg, &why);
		reply_release(&why);
		return;
	}
	if (value && expiry_ms > 0) {
		buffer_append_char(&json, '"');
		json_escaped(&json, value, strlen(value));
		buffer_append_char(&json, '"');
	}
	if (expiry_ms < REDIS_TIME_MAX / 2)
		redis_number_text(expiry, expiry_ms);
	redis_script(queue, SCRIPT_SET, (const struct redis_part[]){ redis_text_part(key), { buffer_str(&json), json.size },
		redis_text_part(expiry), redis_text_part(redis_number_text(most, REDIS_SETTINGS_MAX)) }, 4, on_set,
		xmemdup(&(struct set_op){ .done = done, .arg = arg }, sizeof(struct set_op)));
	buffer_release(&json);
}

/* ---- settings */

struct list {
	struct setting *items;
	json_t **objects;
	size_t count;
	bool damaged;
};

/* False: nobody can make anything of it. One that has expired is left out. */
static bool read_setting(struct list *list, const struct redisReply *key, const struct redisReply *text, int64_t now_ms)
{
	json_t *object = text->type == REDIS_REPLY_STRING ? json_loadb(text->str, (size_t)text->len, 0, NULL) : NULL;
	const char *value = json_string_value(json_object_get(object, "value"));
	const json_t *expires = json_object_get(object, "expires");
	struct reply why = { 0 };
	bool good = value && (!expires || json_is_integer(expires)) && strlen(key->str) == (size_t)key->len &&
		setting_check(key->str, value, &why) == 0;

	reply_release(&why);
	if (!good || (expires && json_integer_value(expires) <= now_ms)) {
		json_decref(object);
		return good;
	}
	list->objects[list->count] = object;
	list->items[list->count++] = (struct setting){ key->str, value,
		expires ? json_integer_value(expires) - now_ms : INT64_MAX };
	return true;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct setting *)a)->key, ((const struct setting *)b)->key);
}

static void read_all(struct list *list, const struct redisReply *reply)
{
	int64_t now_ms = redis_number(redis_item(reply, 0), 0);
	size_t most = reply->elements / 2 + 1;

	list->items = xcalloc(most, sizeof(*list->items));
	list->objects = xcalloc(most, sizeof(json_t *));
	for (size_t i = 1; i + 1 < reply->elements; i += 2)
		if (!read_setting(list, redis_item(reply, i), redis_item(reply, i + 1), now_ms))
			list->damaged = true;
	qsort(list->items, list->count, sizeof(*list->items), compare_keys);
}

static void on_listed(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct set_op *op = arg;
	struct list list = { 0 };

	if (reply)
		read_all(&list, reply);
	/* Asked for every few seconds. */
	if (list.damaged && !op->queue->settings_damaged)
		log_error("queue", "damaged settings left out", LOG_TEXT("queue", op->queue->storage.context.queue));
	if (reply)
		op->queue->settings_damaged = list.damaged;
	op->listed(op->arg, why, list.items, list.count);
	for (size_t i = 0; i < list.count; i++)
		json_decref(list.objects[i]);
	free((void *)list.objects);
	free(list.items);
	free(op);
}

void redis_list_settings(struct storage *storage, storage_settings_fn *done, void *arg)
{
	struct redis_queue *queue = (struct redis_queue *)storage;

	redis_script(queue, SCRIPT_SETTINGS, NULL, 0, on_listed,
		xmemdup(&(struct set_op){ .queue = queue, .listed = done, .arg = arg }, sizeof(struct set_op)));
}
