/* delivery_record.c - what the storage is told of a delivery, again until it has taken it
 * SPDX-License-Identifier: MIT */
#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/delivery_parts.h"

#define PAUSE_FIRST_MS 200
#define PAUSE_LAST_MS 30000
#define FETCH_PAUSE_LAST_MS 800		/* what cannot be read after this one takes the place of others no longer */
#define UNREAD_MS 60000

/* ---- a storage that fails */

void delivery_log_failed(const struct delivery *delivery, const char *event, const struct reply *why)
{
	struct buffer text = { 0 };

	reply_append(why, &text);
	log_error("worker", event, LOG_TEXT("id", delivery->id),
		LOG_TEXT("queue", queue_name(delivery->context.queue)), LOG_TEXT("reply", buffer_str(&text)));
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

void delivery_step_failed(struct delivery *delivery, const struct reply *why)
{
	bool fetching = delivery->step == STEP_FETCH;

	/* That the lease is lost was said before. */
	if ((!delivery->pause_ms && !delivery->lost) || reply_is_permanent(why))
		delivery_log_failed(delivery, fetching ? "could not fetch" : "could not record", why);
	if (fetching && (delivery->draining || delivery->pause_ms >= FETCH_PAUSE_LAST_MS))
		delivery_give_back(delivery, UNREAD_MS);
	else if (reply_is_permanent(why) || delivery->draining)
		give_up(delivery);
	else
		pause_step(delivery);
}

/* ---- while the relay is at work */

static void log_delivered(struct delivery *delivery)
{
	const struct delivery_context *context = &delivery->context;

	progress_log_delivered(delivery->progress, delivery->envelope, context->relay->name, context->counters,
		delivery->state.attempts + 1);
}

static void on_renewed(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;

	delivery->in_call = false;
	if (why && !delivery_lease_is_lost(why)) {
		/* What is delivered is recorded with the next renewal, or at the end. */
		delivery->unrecorded = true;
		delivery_log_failed(delivery, "could not renew", why);
	} else {
		log_delivered(delivery);
	}
	delivery_lease_answer(delivery, why);
	if (delivery->relay == RELAY_OVER || (delivery->unrecorded && !why))
		delivery_next(delivery);
}

void delivery_renew(struct delivery *delivery)
{
	if (delivery->in_call)
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
	struct delivery_context *context = &delivery->context;

	delivery->in_call = false;
	if (why) {
		delivery_step_failed(delivery, why);
		return;
	}
	progress_mark_sent(delivery->progress, delivery->envelope->recipient_count);
	log_delivered(delivery);
	progress_log_deferred(delivery->progress, delivery->envelope, context->relay->name, context->counters,
		delivery->state.attempts + 1, delivery->delay_ms);
	delivery_end(delivery);
}

static void end_lease(struct delivery *delivery)
{
	struct queue *queue = delivery->context.queue;
	size_t count = delivery->envelope->recipient_count;
	const struct progress *failed = progress_first_failed(delivery->progress, count);

	delivery->in_call = true;
	if (progress_is_complete(delivery->progress, count)) {
		queue_remove(queue, &delivery->lease, on_ended, delivery);
		return;
	}
	if (!failed) {
		/* None of those left was tried. */
		queue_defer(queue, &delivery->lease, 0, false, &delivery->state.done, NULL, on_ended, delivery);
		return;
	}
	delivery->attempt = (struct attempt){ clock_wall_ms(), failed->host, failed->reply };
	delivery->delay_ms = queue_retry_delay_ms(queue, delivery->state.attempts + 1);
	queue_defer(queue, &delivery->lease, delivery->delay_ms, true, &delivery->state.done, &delivery->attempt,
		on_ended, delivery);
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
