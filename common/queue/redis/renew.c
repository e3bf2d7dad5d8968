/* renew.c - a lease of a redis queue goes on, and what was settled is recorded, also where it is lost
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/queue/redis/work.h"

/* ---- what another has by now */

struct late_op {
	struct redis_op op;
	char id[ID_SIZE];
	struct redis_record record;
	struct outcomes done;
	storage_done_fn *answered;
	void *arg;
};

static void late_answer(struct redis_op *op, const struct reply *why)
{
	struct late_op *late = (struct late_op *)op;
	struct reply lost = { 0 };

	if (!why)
		reply_set(&lost, 450, "4.2.0", "The lease is lost");
	late->answered(late->arg, why ? why : &lost);
	reply_release(&lost);
	redis_record_release(&late->record);
	outcomes_release(&late->done);
	free(late);
}

static void late_send(struct redis_op *op);

static void on_late(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct late_op *late = arg;
	struct redis_record record;

	if (why) {
		redis_op_failed(&late->op, why);
		return;
	}
	if (!redis_text_is(redis_item(reply, 0), "changed") || redis_record_read(&record, redis_item(reply, 2), 0) < 0) {
		redis_op_end(&late->op, NULL);
		return;
	}
	redis_record_release(&late->record);
	late->record = record;
	if (record.damage || !outcomes_merge(&late->record.state.done, &late->done))
		redis_op_end(&late->op, NULL);
	else
		late_send(&late->op);
}

static void late_send(struct redis_op *op)
{
	struct late_op *late = (struct late_op *)op;
	char *state = redis_state_text(&late->record.state, late->record.other), version[REDIS_NUMBER_SIZE];
	const struct redis_part args[] = { redis_text_part(late->id),
		redis_text_part(redis_number_text(version, (int64_t)late->record.version)), redis_text_part(state) };

	redis_script(op->queue, SCRIPT_RECORD, args, ARRAY_SIZE(args), on_late, late);
	free(state);
}

void redis_record_late(struct redis_queue *queue, const char *id, const struct redisReply *lost, const struct outcomes *done,
	storage_done_fn *answered, void *arg)
{
	struct late_op *late = xcalloc(1, sizeof(*late));

	*late = (struct late_op){ .op.send = late_send, .op.end = late_answer, .answered = answered, .arg = arg };
	memcpy(late->id, id, ID_SIZE);
	outcomes_merge(&late->done, done);
	late->op.queue = queue;
	late->op.until_boot_ms = clock_boot_ms() + queue->settings.timeout_ms;
	if (redis_record_read(&late->record, redis_item(lost, 2), 0) < 0 || late->record.damage ||
			!outcomes_merge(&late->record.state.done, &late->done)) {
		late_answer(&late->op, NULL);
		return;
	}
	redis_op_begin(&late->op, queue, NULL);
}

/* ---- renew */

struct renew_op {
	struct redis_op op;
	int64_t asked_boot_ms;
	bool records;			/* the state goes with it */
	bool obeys;			/* that comes of the marks of the record */
	bool lost;
	storage_done_fn *done;
	redis_obeyed_fn *obeyed;
	void *arg;
};

static void renew_end(struct redis_op *op, const struct reply *why)
{
	struct renew_op *renew = (struct renew_op *)op;

	if (renew->obeyed)
		renew->obeyed(renew->arg, &op->lease, why);
	else
		renew->done(renew->arg, why);
	free(renew);
}

static void on_lost_recorded(void *arg, const struct reply *why)
{
	struct renew_op *renew = arg;

	redis_op_end(&renew->op, why);
}

static void renewed(struct renew_op *renew, const struct redisReply *reply)
{
	struct redis_lease *lease = renew->op.lease;

	lease->lease.claimed_boot_ms = renew->asked_boot_ms;
	if (renew->records) {
		lease->record.version = (uint64_t)redis_number(redis_item(reply, 1), 0);
		lease->dirty = false;
		if (!lease->record.state_text)
			lease->record.state_text = xstrdup("");		/* there is one from now on */
		if (!lease->record.due_ms)
			lease->record.due_ms = redis_lease_now_ms(lease);
	}
	if (renew->obeys)
		redis_marks_release(&lease->record.marks);
	redis_op_end(&renew->op, NULL);
}

static void on_renewed(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct renew_op *renew = arg;
	struct redis_lease *lease = renew->op.lease;
	struct reply lost = { 0 };

	if (why) {
		redis_op_failed(&renew->op, why);
		return;
	}
	if (redis_text_is(redis_item(reply, 0), "ok")) {
		renewed(renew, reply);
		return;
	}
	reply_set(&lost, 450, "4.2.0", "The lease is lost");
	if (redis_text_is(redis_item(reply, 0), "changed") && redis_lease_reread(lease, reply)) {
		/* Whoever obeyed the marks has to see them anew. */
		if (renew->obeys)
			redis_op_end(&renew->op, &lost);
		else
			renew->op.send(&renew->op);
	} else if (redis_text_is(redis_item(reply, 0), "lost") && !renew->obeys && renew->op.queue->work) {
		redis_record_late(renew->op.queue, lease->lease.id, reply, &lease->record.state.done, on_lost_recorded, renew);
	} else {
		redis_op_end(&renew->op, &lost);
	}
	reply_release(&lost);
}

static void renew_send(struct redis_op *op)
{
	struct renew_op *renew = (struct renew_op *)op;
	const struct redis_record *record = &op->lease->record;
	const struct lease *lease = &op->lease->lease;
	struct redis_queue *queue = op->queue;
	char *state = renew->records ? redis_state_text(&record->state, record->other) : NULL;
	char epoch[REDIS_NUMBER_SIZE], version[REDIS_NUMBER_SIZE], lease_ms[REDIS_NUMBER_SIZE], due[REDIS_NUMBER_SIZE];
	const struct redis_part args[] = {
		redis_text_part(lease->id), redis_text_part(redis_number_text(epoch, (int64_t)lease->epoch)),
		redis_text_part(redis_number_text(version, (int64_t)record->version)),
		redis_text_part(redis_number_text(lease_ms, lease->lease_ms)),
		redis_text_part(queue->work ? queue->work->owner : ""), redis_text_part(queue->work ? queue->work->tag : ""),
		redis_text_part(state ? state : ""), redis_text_part(record->state.suspect ? "1" : ""),
		redis_text_part(record->state.held ? "held" : "deferred"),
		redis_text_part(renew->obeys && record->due_ms ? redis_number_text(due, record->due_ms) : ""),
		redis_text_part(renew->obeys ? "1" : ""),
	};

	renew->asked_boot_ms = clock_boot_ms();
	redis_script(queue, SCRIPT_RENEW, args, ARRAY_SIZE(args), on_renewed, renew);
	free(state);
}

static struct renew_op *renew_new(bool records)
{
	struct renew_op *renew = xcalloc(1, sizeof(*renew));

	*renew = (struct renew_op){ .op.send = renew_send, .op.end = renew_end, .records = records };
	return renew;
}

void redis_renew(struct storage *storage, struct lease *lease, const struct outcomes *done_so_far, storage_done_fn *done,
	void *arg)
{
	struct redis_lease *ours = (struct redis_lease *)lease;
	struct renew_op *renew;

	if (outcomes_merge(&ours->record.state.done, done_so_far))
		ours->dirty = true;
	renew = renew_new(ours->dirty);
	renew->done = done;
	renew->arg = arg;
	redis_op_begin(&renew->op, (struct redis_queue *)storage, ours);
}

void redis_record_obeyed(struct redis_queue *queue, struct redis_lease *lease, redis_obeyed_fn *done, void *arg)
{
	struct renew_op *renew = renew_new(true);

	renew->obeys = true;
	renew->obeyed = done;
	renew->arg = arg;
	redis_op_begin(&renew->op, queue, lease);
}
