/* settle.c - what ends a lease of a redis queue: defer, put_aside, remove; and marks that stood beside one
 * SPDX-License-Identifier: MIT
 * What is told is composed of the record as we know it; where redis knows more by now, it is composed anew of that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/work.h"

#define DUE_SIZE 32
#define ASIDE_SIZE 64

enum settle_kind { SETTLE_DEFER, SETTLE_ASIDE, SETTLE_OBEY };

struct settle_op {
	struct redis_op op;
	enum settle_kind kind;
	int64_t delay_until_boot_ms;	/* of DEFER and ASIDE */
	bool attempted, has_attempt;
	struct attempt attempt;
	struct outcomes done;
	unsigned group;
	uint64_t recalled;		/* when it began */
	bool discards;
	storage_done_fn *done_fn;
	void *arg;
};

/* What is made of a lease. */
struct settled {
	struct message_state state;
	enum message_place place;
	bool gone, untouched;
	char due[DUE_SIZE];		/* as settle.lua takes it */
	char aside[ASIDE_SIZE];
	int64_t aside_ms;
};

static int64_t left_of(int64_t until_boot_ms)
{
	int64_t left_ms = until_boot_ms - clock_boot_ms();

	return left_ms > 0 ? left_ms : 0;
}

static void say_due(const struct settle_op *settle, struct settled *settled, int64_t due_ms)
{
	if (settle->kind == SETTLE_DEFER)
		snprintf(settled->due, sizeof(settled->due), "+%lld", (long long)due_ms);
	else if (!settled->untouched)
		snprintf(settled->due, sizeof(settled->due), "%lld", (long long)due_ms);
}

/* Deferred: due so long after redis is told. Else it stays due when it was, unless a mark says otherwise. */
static void compose(const struct settle_op *settle, struct settled *settled)
{
	const struct redis_lease *lease = settle->op.lease;
	const struct redis_record *record = &lease->record;
	bool defers = settle->kind == SETTLE_DEFER, marked = record->marks.count > 0, grew;
	int64_t now_ms = defers ? 0 : redis_lease_now_ms(lease);
	int64_t due_ms = defers ? left_of(settle->delay_until_boot_ms) : record->due_ms ? record->due_ms : now_ms;
	const struct redis_work *work = settle->op.queue->work;

	memset(settled, 0, sizeof(*settled));
	message_state_copy(&settled->state, &record->state);
	grew = outcomes_merge(&settled->state.done, &settle->done) || lease->dirty;
	if (defers)
		message_state_defer(&settled->state, settle->attempted, settle->has_attempt ? &settle->attempt : NULL);
	settled->gone = !redis_obey(settle->op.queue, lease->lease.id, &record->marks, settle->attempted, &settled->state,
		&due_ms, now_ms);
	settled->untouched = settle->kind == SETTLE_ASIDE && !marked && !grew && redis_lease_is_new(lease);
	settled->place = settled->state.held ? PLACE_HELD : settled->untouched ? PLACE_NEW : PLACE_DEFERRED;
	say_due(settle, settled, due_ms);
	if (settle->kind != SETTLE_ASIDE || marked || !work || settle->recalled != work->recalled ||
			settled->place == PLACE_HELD)
		return;
	snprintf(settled->aside, sizeof(settled->aside), "%s:%u", work->tag, settle->group);
	settled->aside_ms = left_of(settle->delay_until_boot_ms);
}

static const char *text_or_none(const char *text)
{
	return text ? text : "";
}

void redis_settle(struct redis_queue *queue, const struct redis_settlement *to, redis_done_fn *done, void *arg)
{
	char epoch[REDIS_NUMBER_SIZE], version[REDIS_NUMBER_SIZE], aside[REDIS_NUMBER_SIZE], kept[REDIS_NUMBER_SIZE];
	const struct redis_part args[] = {
		redis_text_part(to->id), redis_text_part(to->how),
		redis_text_part(to->epoch ? redis_number_text(epoch, (int64_t)to->epoch) : ""),
		redis_text_part(redis_number_text(version, (int64_t)to->version)), redis_text_part(to->place),
		redis_text_part(text_or_none(to->due)), redis_text_part(text_or_none(to->state)),
		redis_text_part(to->suspect ? "1" : ""), redis_text_part(text_or_none(to->aside)),
		redis_text_part(redis_number_text(aside, to->aside_ms)),
		redis_text_part(redis_number_text(kept, finished_kept_ms(to->id))),
	};

	redis_script(queue, SCRIPT_SETTLE, args, ARRAY_SIZE(args), done, arg);
}

static void on_settled(void *arg, const struct redisReply *reply, const struct reply *why);

static void settle_send(struct redis_op *op)
{
	struct settle_op *settle = (struct settle_op *)op;
	const struct redis_lease *lease = op->lease;
	struct settled settled;
	char *state;

	compose(settle, &settled);
	settle->discards = settled.gone;
	state = settled.untouched ? NULL : redis_state_text(&settled.state, lease->record.other);
	redis_settle(op->queue, &(struct redis_settlement){ .id = lease->lease.id, .how = "epoch", .epoch = lease->lease.epoch,
		.version = lease->record.version, .place = settled.gone ? "gone" : place_name(settled.place), .due = settled.due,
		.state = state, .suspect = settled.state.suspect, .aside = settled.aside, .aside_ms = settled.aside_ms },
		on_settled, settle);
	message_state_release(&settled.state);
	free(state);
}

static void settle_end(struct redis_op *op, const struct reply *why)
{
	struct settle_op *settle = (struct settle_op *)op;

	if (!why && settle->discards)
		log_info("queue", "discarded", LOG_TEXT("id", op->lease->lease.id),
			LOG_TEXT("queue", op->queue->storage.context.queue));
	settle->done_fn(settle->arg, why);
	redis_lease_free(op->lease);
	outcomes_release(&settle->done);
	reply_release(&settle->attempt.reply);
	free(settle->attempt.host);
	free(settle->attempt.tls);
	free(settle);
}

static void end_with(struct settle_op *settle, unsigned code, const char *status, const char *text)
{
	struct reply why = { 0 };

	settle->discards = false;
	reply_set(&why, code, status, "%s", text);
	redis_op_end(&settle->op, &why);
	reply_release(&why);
}

static void on_late(void *arg, const struct reply *why)
{
	struct settle_op *settle = arg;

	settle->discards = false;
	redis_op_end(&settle->op, why);
}

/* What was settled under it is recorded all the same. */
static void lost(struct settle_op *settle, const struct redisReply *reply)
{
	struct redis_lease *lease = settle->op.lease;

	outcomes_merge(&lease->record.state.done, &settle->done);
	redis_record_late(settle->op.queue, lease->lease.id, reply, &lease->record.state.done, on_late, settle);
}

static void on_settled(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct settle_op *settle = arg;
	const struct redisReply *result = redis_item(reply, 0);

	if (why) {
		redis_op_failed(&settle->op, why);
	} else if (redis_text_is(result, "ok")) {
		redis_op_end(&settle->op, NULL);
	} else if (redis_text_is(result, "changed") && redis_lease_reread(settle->op.lease, reply)) {
		settle_send(&settle->op);
	} else if (redis_text_is(result, "lost")) {
		lost(settle, reply);
	} else {
		end_with(settle, 550, "5.1.1", "No such message");
	}
}

/* ---- the calls */

static struct settle_op *settle_new(enum settle_kind kind, int64_t delay_ms, const struct outcomes *done,
	storage_done_fn *done_fn, void *arg)
{
	struct settle_op *settle = xcalloc(1, sizeof(*settle));

	*settle = (struct settle_op){ .op.send = settle_send, .op.end = settle_end, .kind = kind,
		.delay_until_boot_ms = clock_boot_ms() + (delay_ms > 0 ? delay_ms : 0), .done_fn = done_fn, .arg = arg };
	outcomes_merge(&settle->done, done);
	return settle;
}

static struct redis_lease *taken(struct lease **lease)
{
	struct redis_lease *ours = (struct redis_lease *)*lease;

	*lease = NULL;
	LIST_REMOVE(ours, next);
	return ours;
}

void redis_defer(struct storage *storage, struct lease **lease, int64_t delay_ms, bool attempted,
	const struct outcomes *done_so_far, const struct attempt *attempt, storage_done_fn *done, void *arg)
{
	struct settle_op *settle = settle_new(SETTLE_DEFER, delay_ms, done_so_far, done, arg);

	settle->attempted = attempted;
	if (attempt) {
		settle->has_attempt = true;
		settle->attempt.time_ms = attempt->time_ms;
		settle->attempt.host = xstrdup(attempt->host ? attempt->host : "");
		settle->attempt.tls = attempt->tls ? xstrdup(attempt->tls) : NULL;
		reply_copy(&settle->attempt.reply, &attempt->reply);
	}
	redis_op_begin(&settle->op, (struct redis_queue *)storage, taken(lease));
}

void redis_put_aside(struct storage *storage, struct lease **lease, int64_t delay_ms, unsigned group,
	const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	struct settle_op *settle = settle_new(SETTLE_ASIDE, delay_ms, done_so_far, done, arg);

	settle->group = group;
	settle->recalled = queue->work->recalled;
	redis_op_begin(&settle->op, queue, taken(lease));
}

/* ---- remove */

struct remove_op {
	struct redis_op op;
	storage_done_fn *done;
	void *arg;
};

static void remove_end(struct redis_op *op, const struct reply *why)
{
	struct remove_op *removal = (struct remove_op *)op;

	removal->done(removal->arg, why);
	redis_lease_free(op->lease);
	free(removal);
}

static void on_late_removal(void *arg, const struct reply *why)
{
	redis_op_end(arg, why);
}

static void on_removed(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis_op *op = arg;

	if (why)
		redis_op_failed(op, why);
	else if (redis_text_is(redis_item(reply, 0), "ok"))
		redis_op_end(op, NULL);
	else
		redis_record_late(op->queue, op->lease->lease.id, reply, &op->lease->record.state.done, on_late_removal, op);
}

static void remove_send(struct redis_op *op)
{
	char epoch[REDIS_NUMBER_SIZE], kept[REDIS_NUMBER_SIZE];
	const struct redis_part args[] = {
		redis_text_part(op->lease->lease.id),
		redis_text_part(redis_number_text(epoch, (int64_t)op->lease->lease.epoch)),
		redis_text_part(redis_number_text(kept, finished_kept_ms(op->lease->lease.id))),
	};

	redis_script(op->queue, SCRIPT_REMOVE, args, ARRAY_SIZE(args), on_removed, op);
}

void redis_remove(struct storage *storage, struct lease **lease, storage_done_fn *done, void *arg)
{
	struct remove_op *removal = xcalloc(1, sizeof(*removal));

	*removal = (struct remove_op){ .op.send = remove_send, .op.end = remove_end, .done = done, .arg = arg };
	redis_op_begin(&removal->op, (struct redis_queue *)storage, taken(lease));
}

/* ---- what stood beside a lease that ended */

struct obey_first {
	struct redis_queue *queue;
	struct redis_lease *lease;
	bool anyway;
	struct reply why;		/* once it is settled */
	redis_obeyed_fn *done;
	void *arg;
};

static void obey_next(struct obey_first *obey);

static void obey_free(struct obey_first *obey)
{
	redis_lease_free(obey->lease);
	reply_release(&obey->why);
	free(obey);
}

static void obey_end(struct obey_first *obey, const struct reply *why)
{
	if (why)
		obey->done(obey->arg, NULL, why);
	else
		obey->done(obey->arg, &obey->lease, NULL);
	obey_free(obey);
}

static void on_not_handed_out(void *arg, const struct reply *why)
{
	struct obey_first *obey = arg;

	obey->done(obey->arg, NULL, why ? why : &obey->why);
	obey_free(obey);
}

static void settle_instead(struct obey_first *obey, unsigned code, const char *status, const char *text)
{
	struct settle_op *settle = settle_new(SETTLE_OBEY, 0, NULL, on_not_handed_out, obey);
	struct redis_lease *lease = obey->lease;

	obey->lease = NULL;
	reply_set(&obey->why, code, status, "%s", text);
	redis_op_begin(&settle->op, obey->queue, lease);
}

static void on_obeyed(void *arg, struct redis_lease **lease, const struct reply *why)
{
	struct obey_first *obey = arg;

	(void)lease;			/* ours */
	if (!why)
		obey_end(obey, NULL);
	else if (obey->queue->work && obey->lease->reread)
		obey_next(obey);
	else
		obey_end(obey, why);
}

static void obey_next(struct obey_first *obey)
{
	struct redis_record *record = &obey->lease->record;
	int64_t now_ms = redis_lease_now_ms(obey->lease), due_ms = record->due_ms ? record->due_ms : now_ms;
	struct message_state state;
	bool stays = true;

	obey->lease->reread = false;
	/* Tried on a copy, without its lines in the log: what is settled obeys them for good. */
	message_state_copy(&state, &record->state);
	for (size_t i = 0; i < record->marks.count && stays; i++) {
		const struct redis_mark *mark = &record->marks.items[i];

		stays = mark->mark != MARK_DISCARD;
		if (stays && message_state_mark(&state, mark->mark, mark->reason, obey->queue->storage.max_strikes) &&
				due_ms > now_ms)
			due_ms = now_ms;
	}
	if (!stays) {
		settle_instead(obey, 550, "5.1.1", "No such message");
	} else if (!obey->anyway && (state.held || due_ms > now_ms)) {
		settle_instead(obey, 450, "4.2.0", "Message is not due");
	} else {
		redis_obey(obey->queue, record->id, &record->marks, false, &record->state, &due_ms, now_ms);
		record->due_ms = due_ms;
		obey->lease->lease.suspect = record->state.suspect;
		redis_record_obeyed(obey->queue, obey->lease, on_obeyed, obey);
	}
	message_state_release(&state);
}

void redis_obey_first(struct redis_queue *queue, struct redis_lease *lease, bool anyway, redis_obeyed_fn *done, void *arg)
{
	struct obey_first *obey = xcalloc(1, sizeof(*obey));

	*obey = (struct obey_first){ .queue = queue, .lease = lease, .anyway = anyway, .done = done, .arg = arg };
	if (lease->record.damage) {
		log_error("queue", "damaged message held", LOG_TEXT("id", lease->lease.id),
			LOG_TEXT("queue", queue->storage.context.queue), LOG_TEXT("why", lease->record.damage));
		settle_instead(obey, 554, "5.6.0", "Message is damaged");
	} else {
		obey_next(obey);
	}
}
