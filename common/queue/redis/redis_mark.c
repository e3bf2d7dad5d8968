/* redis_mark.c - what is asked of a message: beside its lease by one script, else obeyed here and then put in place
 * SPDX-License-Identifier: MIT
 * Who changes the message between the two has the first asked again. */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/redis_queue.h"

#define TRIES 32

struct mark_op {
	struct redis_queue *queue;
	char id[ID_SIZE];
	enum mark mark;
	char *reason;
	unsigned tries;
	bool going;			/* what was settled took it away */
	storage_done_fn *done;
	void *arg;
};

static void finish(struct mark_op *op, const struct reply *why)
{
	op->done(op->arg, why);
	free(op->reason);
	free(op);
}

static void refuse(struct mark_op *op, unsigned code, const char *status, const char *text)
{
	struct reply why = { 0 };

	reply_set(&why, code, status, "%s", text);
	finish(op, &why);
	reply_release(&why);
}

static void ask(struct mark_op *op);

/* ---- put in place */

static void on_settled(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct mark_op *op = arg;
	const struct redisReply *result = redis_item(reply, 0);

	if (why) {
		finish(op, why);
	} else if (redis_text_is(result, "ok")) {
		if (op->going)
			log_info("queue", "discarded", LOG_TEXT("id", op->id),
				LOG_TEXT("queue", op->queue->storage.context.queue));
		finish(op, NULL);
	} else if (redis_text_is(result, "changed") || redis_text_is(result, "lost")) {
		ask(op);
	} else {
		refuse(op, 550, "5.1.1", "No such message");
	}
}

static void settle(struct mark_op *op, const struct redis_record *record, const char *place, int64_t due_ms, const char *state,
	bool suspect)
{
	char due[REDIS_NUMBER_SIZE];

	op->going = strcmp(place, "gone") == 0;
	redis_settle(op->queue, &(struct redis_settlement){ .id = op->id, .how = "version", .version = record->version,
		.place = place, .due = redis_number_text(due, due_ms), .state = state, .suspect = suspect }, on_settled, op);
}

static bool is_made_due(enum mark mark)
{
	return mark == MARK_RELEASE || mark == MARK_RETRY || mark == MARK_BOUNCE;
}

/* What cannot be read is not written: what makes it due has it looked at again, as when somebody has mended it. */
static void mark_damaged(struct mark_op *op, const struct redis_record *record, int64_t now_ms)
{
	if (op->mark == MARK_DISCARD) {
		redis_discard(&op->queue->storage, (const char *const[]){ op->id }, 1, op->done, op->arg);
		free(op->reason);
		free(op);
	} else if (!is_made_due(op->mark)) {
		finish(op, NULL);
	} else if (!record->head.size) {
		refuse(op, 554, "5.6.0", "Message is damaged");
	} else {
		settle(op, record, "deferred", now_ms, record->state_text, record->suspect);
	}
}

static void obey(struct mark_op *op, struct redis_record *record, int64_t now_ms)
{
	const struct redis_marks asked = { .items = &(struct redis_mark){ op->mark, op->reason }, .count = 1 };
	int64_t due_ms = record->due_ms ? record->due_ms : now_ms;
	char *text;

	if (!redis_obey(op->queue, op->id, &record->marks, false, &record->state, &due_ms, now_ms) ||
			!redis_obey(op->queue, op->id, &asked, false, &record->state, &due_ms, now_ms)) {
		settle(op, record, "gone", 0, NULL, false);
		return;
	}
	text = redis_state_text(&record->state, record->other);
	settle(op, record, record->state.held ? "held" : "deferred", due_ms, text, record->state.suspect);
	free(text);
}

/* ---- asked */

static void on_asked(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct mark_op *op = arg;
	const struct redisReply *result = redis_item(reply, 0);
	int64_t now_ms = redis_number(redis_item(reply, 1), 0);
	struct redis_record record;

	if (why) {
		finish(op, why);
	} else if (redis_text_is(result, "marked")) {
		finish(op, NULL);
	} else if (redis_text_is(result, "full")) {
		refuse(op, 452, "4.3.1", "The message has too many marks");
	} else if (redis_record_read(&record, redis_item(reply, 2), now_ms) < 0) {
		refuse(op, 550, "5.1.1", "No such message");
	} else {
		if (record.damage)
			mark_damaged(op, &record, now_ms);
		else
			obey(op, &record, now_ms);
		redis_record_release(&record);
	}
}

static void ask(struct mark_op *op)
{
	struct buffer line = { 0 };
	char most[REDIS_NUMBER_SIZE];

	if (++op->tries > TRIES) {
		refuse(op, 451, "4.3.0", "The message changes all the time");
		return;
	}
	redis_mark_line(&line, op->mark, op->reason);
	redis_script(op->queue, SCRIPT_MARK, (const struct redis_part[]){ { op->id, ID_LENGTH }, { line.data, line.size },
		{ "1", op->mark != MARK_STRIKE }, redis_text_part(redis_number_text(most, REDIS_MARKS_MAX)) }, 4, on_asked, op);
	buffer_release(&line);
}

void redis_mark(struct storage *storage, const char *id, enum mark mark, const char *reason, storage_done_fn *done, void *arg)
{
	struct mark_op *op;

	if (!id_is_valid(id)) {
		redis_answer_none((struct redis_queue *)storage, done, arg);
		return;
	}
	op = xcalloc(1, sizeof(*op));
	*op = (struct mark_op){ .queue = (struct redis_queue *)storage, .mark = mark, .done = done, .arg = arg };
	xstrset(&op->reason, mark == MARK_HOLD || mark == MARK_BOUNCE ? reason : NULL);
	memcpy(op->id, id, ID_SIZE);
	ask(op);
}
