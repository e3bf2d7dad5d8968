/* delivery_record.c - what the storage is told of a delivery, again until it has taken it
 * SPDX-License-Identifier: MIT */
#include <event2/event.h>

#include "common/base/log.h"
#include "worker/delivery_parts.h"

#define PAUSE_FIRST_MS 200
#define PAUSE_LAST_MS 30000
#define FETCH_PAUSE_LAST_MS 800		/* what cannot be read after this one takes the place of others no longer */
#define PUT_OFF_MS 60000

/* ---- a storage that fails */

void delivery_log_failed(const struct delivery *delivery, const char *event, const struct reply *why)
{
	const struct delivery_context *context = &delivery->context;
	const struct queue *queue = delivery->step == STEP_NOTIFY ? context->bounce_queue : context->queue;
	struct buffer text = { 0 };

	reply_append(why, &text);
	log_error("worker", event, LOG_TEXT("id", delivery->id), LOG_TEXT("queue", queue_name(queue)),
		LOG_TEXT("reply", buffer_str(&text)));
	buffer_release(&text);
}

static void give_up(struct delivery *delivery)
{
	if (delivery->envelope)
		progress_log_in_doubt(delivery->progress, delivery->envelope, delivery->context.relay->name);
	delivery_end(delivery);
}

static void pause_step(struct delivery *delivery)
{
	int64_t pause_ms = delivery->pause_ms ? delivery->pause_ms * 2 : PAUSE_FIRST_MS;

	delivery->pause_ms = pause_ms > PAUSE_LAST_MS ? PAUSE_LAST_MS : pause_ms;
	event_add(delivery->pause, &(struct timeval){ delivery->pause_ms / 1000, delivery->pause_ms % 1000 * 1000 });
}

static void fetch_failed(struct delivery *delivery)
{
	if (delivery->draining || delivery->pause_ms >= FETCH_PAUSE_LAST_MS)
		delivery_give_back(delivery, PUT_OFF_MS);
	else
		pause_step(delivery);
}

/* The end records it too, and finds out whether the message is still ours (450 4.2.0: it is not). What is owed to its
 * sender may wait, what others have in the worker's line may not. */
static void put_off(struct delivery *delivery)
{
	delivery->put_off = true;
	delivery_next(delivery);
}

void delivery_step_failed(struct delivery *delivery, const struct reply *why)
{
	static const char *const events[] = {
		[STEP_FETCH] = "could not fetch", [STEP_RECORD] = "could not record",
		[STEP_NOTIFY] = "could not notify", [STEP_END] = "could not record",
	};
	bool last = reply_is_permanent(why) || delivery->draining;
	bool others_wait = delivery->step == STEP_NOTIFY && delivery->relay == RELAY_TO_COME;

	if (delivery->stopped)
		return;
	/* That the lease is lost was said before. */
	if ((!delivery->pause_ms && !delivery->lost) || reply_is_permanent(why))
		delivery_log_failed(delivery, events[delivery->step], why);
	if (delivery->step == STEP_FETCH)
		fetch_failed(delivery);
	else if (delivery->step != STEP_END &&
			(last || others_wait || why->subject == 2 || delivery->pause_ms == PAUSE_LAST_MS))
		put_off(delivery);
	else if (last)
		give_up(delivery);
	else
		pause_step(delivery);
}

/* ---- the lease goes on */

static struct progress_log log_of(const struct delivery *delivery)
{
	return (struct progress_log){ delivery->envelope, &delivery->state.done, &delivery->notices,
		delivery->context.relay->name, delivery->context.counters,
		delivery->state.attempts + (delivery->tried ? 1 : 0) };
}

static void log_recorded(struct delivery *delivery)
{
	struct progress_log log = log_of(delivery);

	progress_log_recorded(delivery->progress, &log);
}

static void on_renewed(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;
	bool lost = delivery_lease_is_lost(why);

	delivery->in_call = false;
	if (!why || lost) {
		delivery->pause_ms = 0;
		log_recorded(delivery);
	} else {
		/* What is settled is recorded with the next renewal, or at the end. */
		delivery->unrecorded = true;
		if (delivery->step != STEP_RECORD && delivery->step != STEP_END)
			delivery_log_failed(delivery, "could not renew", why);
	}
	/* Who has the message now tells its sender. */
	delivery->put_off = delivery->put_off || lost;
	delivery_lease_answer(delivery, why);
	if (why && !lost && (delivery->step == STEP_RECORD || delivery->step == STEP_END))
		delivery_step_failed(delivery, why);
	else if (delivery->relay != RELAY_UNDER_WAY || (delivery->unrecorded && !why))
		delivery_next(delivery);
}

void delivery_renew(struct delivery *delivery)
{
	if (delivery->in_call || delivery->stopped)
		return;
	delivery->in_call = true;
	delivery->unrecorded = false;
	progress_mark_sent(delivery->progress, delivery->envelope->recipient_count);
	outcomes_release(&delivery->renewing);
	outcomes_merge(&delivery->renewing, &delivery->state.done);
	delivery_lease_ask(delivery);
	queue_renew(delivery->context.queue, delivery->lease, &delivery->renewing, on_renewed, delivery);
}

/* ---- the end */

static void on_ended(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;
	struct progress_log log = log_of(delivery);

	delivery->in_call = false;
	if (why) {
		delivery_step_failed(delivery, why);
		return;
	}
	progress_mark_sent(delivery->progress, delivery->envelope->recipient_count);
	log_recorded(delivery);
	progress_log_deferred(delivery->progress, &log, delivery->delay_ms);
	delivery_end(delivery);
}

/* Whether its recipients were not attempted as lines were full: then it is due when one of these is looked at again. */
static const struct progress *wait_for_line(struct delivery *delivery)
{
	const struct progress *waits = progress_in_full_line(delivery->progress, delivery->envelope->recipient_count);

	if (!waits || delivery->draining)
		return NULL;
	progress_say_full_line(waits, &delivery->full_line);
	delivery->attempt = (struct attempt){ delivery->attempt_ms, waits->host, delivery->full_line };
	if (!delivery->put_off)
		delivery->delay_ms = waits->later_ms;
	log_info("worker", "put off", LOG_TEXT("id", delivery->id), LOG_TEXT("relay", delivery->context.relay->name),
		LOG_TEXT("reason", delivery->full_line.text), LOG_INT("delay_ms", delivery->delay_ms));
	return waits;
}

/* An attempt counts for those who have to wait: if none of these was tried, it was none. */
static void defer(struct delivery *delivery, bool complete)
{
	const struct progress *waits = progress_first_unsuccessful(delivery->progress,
		delivery->envelope->recipient_count, !complete);
	bool attempted = waits || (complete && delivery->tried);
	struct aside aside;

	if (!attempted && !complete && !delivery->put_off && delivery_is_suspended(delivery, &aside)) {
		queue_put_aside(delivery->context.queue, &delivery->lease, aside.delay_ms, aside.group,
			&delivery->state.done, on_ended, delivery);
		return;
	}
	delivery->delay_ms = delivery->put_off && !delivery->draining ? PUT_OFF_MS : 0;
	if (waits && !complete)
		delivery->delay_ms = queue_retry_delay_ms(delivery->context.queue, delivery->state.attempts + 1);
	if (waits)
		delivery->attempt = (struct attempt){ delivery->attempt_ms, waits->host, waits->reply, waits->tls };
	else if (!complete)
		waits = wait_for_line(delivery);
	queue_defer(delivery->context.queue, &delivery->lease, delivery->delay_ms, attempted, &delivery->state.done,
		waits ? &delivery->attempt : NULL, on_ended, delivery);
}

static void end_lease(struct delivery *delivery)
{
	bool complete = !delivery_count_open(delivery);

	delivery->in_call = true;
	if (complete && !notice_is_owed(&delivery->notices, delivery->envelope, &delivery->state.done))
		queue_remove(delivery->context.queue, &delivery->lease, on_ended, delivery);
	else
		defer(delivery, complete);
}

/* A storage that could not record the end of a lease has ended it all the same: it is claimed anew, so that the
 * record is made by who knows what to record. */
static void on_regained(void *arg, struct lease *const leases[], size_t count)
{
	struct delivery *delivery = arg;

	delivery->in_call = false;
	if (!count) {
		give_up(delivery);
		return;
	}
	delivery->lease = leases[0];
	delivery_lease_begin(delivery);
	delivery_next(delivery);
}

static void on_regain_refused(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;

	delivery->in_call = false;
	/* 450 4.2.0: another worker has it by now, and will do it again. */
	if (reply_is_transient(why) && why->subject != 2) {
		delivery_step_failed(delivery, why);
		return;
	}
	/* Another has it or had it; what it did is in its own lines. Nobody has to act. */
	if (why->subject == 2 || (why->code == 550 && why->subject == 1))
		log_info("worker", "left to another worker", LOG_TEXT("id", delivery->id),
			LOG_TEXT("queue", queue_name(delivery->context.queue)), LOG_TEXT("reply", why->text));
	else
		delivery_log_failed(delivery, "could not claim again", why);
	give_up(delivery);
}

void delivery_record_end(struct delivery *delivery)
{
	/* Who lost a lease can still say what was settled, and no more. */
	if (delivery->lost && delivery->lease && delivery->unrecorded) {
		delivery_renew(delivery);
		return;
	}
	if (delivery->lease) {
		end_lease(delivery);
		return;
	}
	delivery->in_call = true;
	queue_claim_id(delivery->context.queue, delivery->id, delivery->lease_ms, on_regained, on_regain_refused,
		delivery);
}

/* ---- giving back */

static void on_released(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;

	if (why)
		delivery_log_failed(delivery, "could not give back", why);
	delivery_end(delivery);
}

void delivery_give_back(struct delivery *delivery, int64_t delay_ms)
{
	queue_defer(delivery->context.queue, &delivery->lease, delay_ms, false, &delivery->state.done, NULL,
		on_released, delivery);
}
