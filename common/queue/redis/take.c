/* take.c - a message of a redis queue is taken from who has it
 * SPDX-License-Identifier: MIT
 * His lease is lost and the marks beside it are obeyed in one step, made of what was seen just before; where that changed
 * meanwhile it is looked at again. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/work.h"

#define TRIES 32

struct take {
	struct redis_queue *queue;
	char id[ID_SIZE];
	char *owner;
	unsigned tries;
	bool going;			/* by a mark */
	storage_done_fn *done;
	void *arg;
};

static void finish(struct take *take, const struct reply *why)
{
	if (!why && take->owner)
		log_info("queue", take->going ? "discarded" : "taken from its owner", LOG_TEXT("id", take->id),
			LOG_TEXT("queue", take->queue->storage.context.queue), LOG_TEXT("owner", take->owner));
	take->done(take->arg, why);
	free(take->owner);
	free(take);
}

static void refuse(struct take *take, unsigned code, const char *status, const char *text)
{
	struct reply why = { 0 };

	reply_set(&why, code, status, "%s", text);
	finish(take, &why);
	reply_release(&why);
}

static void on_settled(void *arg, const struct redisReply *reply, const struct reply *why);

static const char *place_of(const struct take *take, const struct redis_record *record)
{
	bool is_new = record->back == PLACE_NEW && !record->state_text && !record->marks.count;

	if (take->going)
		return "gone";
	return place_name(record->state.held ? PLACE_HELD : is_new ? PLACE_NEW : PLACE_DEFERRED);
}

static void settle(struct take *take, struct redis_record *record, int64_t now_ms)
{
	int64_t due_ms = record->due_ms ? record->due_ms : now_ms;
	char due[REDIS_NUMBER_SIZE], *state;
	const char *place;
	bool is_new;

	take->going = !redis_obey(take->queue, take->id, &record->marks, false, &record->state, &due_ms, now_ms);
	place = place_of(take, record);
	is_new = strcmp(place, place_name(PLACE_NEW)) == 0;
	state = is_new ? NULL : redis_state_text(&record->state, record->other);
	redis_settle(take->queue, &(struct redis_settlement){ .id = take->id, .how = "take", .version = record->version,
		.place = place, .due = is_new ? NULL : redis_number_text(due, due_ms), .state = state,
		.suspect = record->state.suspect }, on_settled, take);
	free(state);
}

static void consider(struct take *take, const struct redisReply *found, int64_t now_ms)
{
	struct redis_record record;

	if (redis_record_read(&record, found, now_ms) < 0) {
		refuse(take, 550, "5.1.1", "No such message");
		return;
	}
	if (record.place != PLACE_LEASED) {
		finish(take, NULL);
	} else if (++take->tries > TRIES) {
		refuse(take, 451, "4.3.0", "The message changes all the time");
	} else {
		xstrset(&take->owner, record.owner);
		settle(take, &record, now_ms);
	}
	redis_record_release(&record);
}

static void on_settled(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct take *take = arg;
	const struct redisReply *result = redis_item(reply, 0);

	if (why)
		finish(take, why);
	else if (redis_text_is(result, "ok"))
		finish(take, NULL);
	else if (redis_text_is(result, "changed"))
		consider(take, redis_item(reply, 2), redis_number(redis_item(reply, 1), 0));
	else
		refuse(take, 550, "5.1.1", "No such message");
}

static void on_seen(void *arg, const struct redisReply *reply, const struct reply *why)
{
	if (why)
		finish(arg, why);
	else
		consider(arg, redis_item(reply, 1), redis_number(redis_item(reply, 0), 0));
}

void redis_take(struct storage *storage, const char *id, storage_done_fn *done, void *arg)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	struct take *take;

	if (!id_is_valid(id)) {
		redis_answer_none(queue, done, arg);
		return;
	}
	take = xcalloc(1, sizeof(*take));
	*take = (struct take){ .queue = queue, .done = done, .arg = arg };
	memcpy(take->id, id, ID_SIZE);
	redis_script(queue, SCRIPT_PEEK, (const struct redis_part[]){ redis_text_part(take->id), REDIS_PART("") }, 2, on_seen,
		take);
}
