/* delivery.c - one message under our lease, from the claim until it is given back or gone
 * SPDX-License-Identifier: MIT */
#include "worker/delivery.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/progress.h"

#define PAUSE_FIRST_MS 200
#define PAUSE_LAST_MS 30000
#define FETCH_PAUSE_LAST_MS 800		/* what cannot be read after this one takes the place of others no longer */
#define UNREAD_MS 60000

enum phase { FETCHING, RELAYING, RECORDING };

struct delivery {
	struct delivery_context context;
	struct lease *lease;		/* NULL: the storage has it back */
	int64_t lease_ms;
	char id[ID_SIZE];
	enum phase phase;
	bool draining, in_call, finished_relay;
	struct envelope *envelope;
	struct message_state state;
	struct outcomes renewing;	/* what the storage is told while the relay goes on */
	struct attempt attempt;		/* borrowed of the first recipient that failed */
	struct progress *progress;	/* one a recipient */
	size_t left;			/* recipients that the relay has not settled */
	bool unrecorded;		/* delivered ones are not in the storage yet */
	struct event *pause, *renewal;
	int64_t pause_ms;
	int64_t delay_ms;		/* until it is tried again */
	delivery_ended_fn *ended;
	void *arg;
};

static void take_step(struct delivery *delivery);
static void give_back(struct delivery *delivery, int64_t delay_ms);

static void log_storage_failed(const struct delivery *delivery, const char *event, const struct reply *why)
{
	struct buffer text = { 0 };

	reply_append(why, &text);
	log_error("worker", event, LOG_TEXT("id", delivery->id),
		LOG_TEXT("queue", queue_name(delivery->context.queue)), LOG_TEXT("reply", buffer_str(&text)));
	buffer_release(&text);
}

static struct timeval as_timeval(int64_t ms)
{
	return (struct timeval){ ms / 1000, ms % 1000 * 1000 };
}

static void release(struct delivery *delivery)
{
	struct delivery_context *context = &delivery->context;

	if (delivery->phase != FETCHING)
		counter_add(context->counters, COUNTER_WORKER_ATTEMPTS, -1);
	progress_free(delivery->progress, delivery->envelope ? delivery->envelope->recipient_count : 0);
	envelope_free(delivery->envelope);
	message_state_release(&delivery->state);
	outcomes_release(&delivery->renewing);
	event_free(delivery->pause);
	event_free(delivery->renewal);
	free(delivery);
}

void delivery_abandon(struct delivery *delivery)
{
	if (delivery->phase != FETCHING)
		progress_log_in_doubt(delivery->progress, delivery->envelope, delivery->context.relay->name);
	release(delivery);
}

static void end(struct delivery *delivery)
{
	delivery->ended(delivery->arg, delivery);
	release(delivery);
}

/* ---- a storage that fails */

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	take_step(arg);
}

static void give_up(struct delivery *delivery)
{
	if (delivery->phase == RECORDING)
		progress_log_in_doubt(delivery->progress, delivery->envelope, delivery->context.relay->name);
	end(delivery);
}

/* Repeats the step after a pause; gives up where that makes no sense. */
static void step_failed(struct delivery *delivery, const struct reply *why)
{
	struct timeval pause;

	if (!delivery->pause_ms || reply_is_permanent(why))
		log_storage_failed(delivery,
			delivery->phase == FETCHING ? "could not fetch" : "could not record", why);
	if (delivery->phase == FETCHING && (delivery->draining || delivery->pause_ms >= FETCH_PAUSE_LAST_MS)) {
		give_back(delivery, UNREAD_MS);
		return;
	}
	if (reply_is_permanent(why) || delivery->draining) {
		give_up(delivery);
		return;
	}
	delivery->pause_ms = delivery->pause_ms ? delivery->pause_ms * 2 : PAUSE_FIRST_MS;
	if (delivery->pause_ms > PAUSE_LAST_MS)
		delivery->pause_ms = PAUSE_LAST_MS;
	pause = as_timeval(delivery->pause_ms);
	event_add(delivery->pause, &pause);
}

void delivery_drain(struct delivery *delivery)
{
	delivery->draining = true;
	/* One that pauses tries once more, now. */
	if (event_pending(delivery->pause, EV_TIMEOUT, NULL)) {
		event_del(delivery->pause);
		event_active(delivery->pause, EV_TIMEOUT, 0);
	}
}

/* ---- recording */

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
	if (why) {
		/* What is delivered is recorded with the next renewal, or at the end. */
		delivery->unrecorded = true;
		log_storage_failed(delivery, "could not renew", why);
	} else {
		log_delivered(delivery);
	}
	if (delivery->finished_relay || (delivery->unrecorded && !why))
		take_step(delivery);
}

static void renew(struct delivery *delivery)
{
	if (delivery->in_call)
		return;
	delivery->in_call = true;
	delivery->unrecorded = false;
	progress_mark_sent(delivery->progress, delivery->envelope->recipient_count);
	outcomes_release(&delivery->renewing);
	outcomes_merge(&delivery->renewing, &delivery->state.done);
	queue_renew(delivery->context.queue, delivery->lease, &delivery->renewing, on_renewed, delivery);
}

static void on_recorded(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;
	struct delivery_context *context = &delivery->context;

	delivery->in_call = false;
	if (why) {
		step_failed(delivery, why);
		return;
	}
	progress_mark_sent(delivery->progress, delivery->envelope->recipient_count);
	log_delivered(delivery);
	progress_log_deferred(delivery->progress, delivery->envelope, context->relay->name, context->counters,
		delivery->state.attempts + 1, delivery->delay_ms);
	end(delivery);
}

static void record(struct delivery *delivery)
{
	struct delivery_context *context = &delivery->context;
	const struct progress *failed = progress_first_failed(delivery->progress,
		delivery->envelope->recipient_count);

	delivery->in_call = true;
	if (progress_is_complete(delivery->progress, delivery->envelope->recipient_count)) {
		queue_remove(context->queue, &delivery->lease, on_recorded, delivery);
		return;
	}
	if (!failed) {
		/* None of those left was tried. */
		queue_defer(context->queue, &delivery->lease, 0, false, &delivery->state.done, NULL, on_recorded,
			delivery);
		return;
	}
	delivery->attempt = (struct attempt){ clock_wall_ms(), failed->host, failed->reply };
	delivery->delay_ms = queue_retry_delay_ms(context->queue, delivery->state.attempts + 1);
	queue_defer(context->queue, &delivery->lease, delivery->delay_ms, true, &delivery->state.done,
		&delivery->attempt, on_recorded, delivery);
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
	take_step(delivery);
}

static void on_regain_refused(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;

	delivery->in_call = false;
	/* 450 4.2.0: another worker has it by now, and will do it again. */
	if (reply_is_transient(why) && why->subject != 2) {
		step_failed(delivery, why);
		return;
	}
	/* Another has it or had it; what it did is in its own lines. Nobody has to act. */
	if (why->subject == 2 || (why->code == 550 && why->subject == 1))
		log_info("worker", "left to another worker", LOG_TEXT("id", delivery->id),
			LOG_TEXT("queue", queue_name(delivery->context.queue)), LOG_TEXT("reply", why->text));
	else
		log_storage_failed(delivery, "could not claim again", why);
	give_up(delivery);
}

static void regain(struct delivery *delivery)
{
	delivery->in_call = true;
	queue_claim_id(delivery->context.queue, delivery->id, delivery->lease_ms, on_regained, on_regain_refused,
		delivery);
}

/* ---- the relay */

static void on_settled(void *arg, size_t index, const struct reply *reply, const char *host)
{
	struct delivery *delivery = arg;

	if (index >= delivery->envelope->recipient_count || delivery->progress[index].settled)
		BUG("recipient %zu was settled twice", index);
	progress_settle(&delivery->progress[index], reply, host);
	delivery->left--;
	if (!reply_is_success(reply))
		return;
	outcomes_add(&delivery->state.done, &(struct outcome){ index, OUTCOME_DELIVERED, *reply, (char *)host,
		clock_wall_ms() });
	delivery->unrecorded = true;
	if (delivery->left)
		take_step(delivery);
}

static void on_relay_finished(void *arg)
{
	struct delivery *delivery = arg;

	if (delivery->left)
		BUG("a relay left %zu recipients open", delivery->left);
	delivery->finished_relay = true;
	take_step(delivery);
}

static void on_renewal_due(evutil_socket_t fd, short what, void *arg)
{
	struct delivery *delivery = arg;

	(void)fd;
	(void)what;
	if (delivery->phase == RELAYING)
		renew(delivery);
}

static void keep_lease(struct delivery *delivery)
{
	struct timeval third = as_timeval(delivery->lease->lease_ms / 3);

	if (delivery->lease->lease_ms != INT64_MAX)
		event_add(delivery->renewal, &third);
}

static void relay(struct delivery *delivery)
{
	struct relay_delivery what = { delivery->envelope, &delivery->state.done, on_settled, on_relay_finished,
		delivery };

	keep_lease(delivery);
	relay_deliver(delivery->context.relay, &what);
}

/* ---- fetching */

static void begin_relaying(struct delivery *delivery)
{
	size_t count = delivery->envelope->recipient_count;

	delivery->phase = RELAYING;
	delivery->pause_ms = 0;
	counter_add(delivery->context.counters, COUNTER_WORKER_ATTEMPTS, 1);
	delivery->progress = progress_new(delivery->envelope, &delivery->state.done, &delivery->left);
	log_debug("worker", "fetched", LOG_TEXT("id", delivery->id), LOG_INT("recipients", count),
		LOG_INT("open", delivery->left), LOG_INT("attempts", delivery->state.attempts));
	if (delivery->left) {
		relay(delivery);
		return;
	}
	/* Its worker died between the last record and the removal. */
	delivery->finished_relay = true;
	take_step(delivery);
}

static void on_released(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;

	if (why)
		log_storage_failed(delivery, "could not give back", why);
	end(delivery);
}

/* As it came: untried. */
static void give_back(struct delivery *delivery, int64_t delay_ms)
{
	queue_defer(delivery->context.queue, &delivery->lease, delay_ms, false, &delivery->state.done, NULL,
		on_released, delivery);
}

static void on_fetched(void *arg, const struct reply *why, struct envelope **envelope, struct message_state *state)
{
	struct delivery *delivery = arg;

	delivery->in_call = false;
	if (!why) {
		delivery->envelope = *envelope;
		*envelope = NULL;
		delivery->state = *state;
		*state = (struct message_state){ 0 };
		begin_relaying(delivery);
		return;
	}
	if (!reply_is_permanent(why)) {
		step_failed(delivery, why);
		return;
	}
	log_storage_failed(delivery, "set aside", why);
	give_back(delivery, 0);
}

/* Does what is next, now; called again after a storage has failed. */
static void take_step(struct delivery *delivery)
{
	if (delivery->in_call)
		return;
	if (delivery->finished_relay)
		delivery->phase = RECORDING;
	switch (delivery->phase) {
	case FETCHING:
		delivery->in_call = true;
		queue_get(delivery->context.queue, delivery->lease, on_fetched, delivery);
		break;
	case RELAYING:
		renew(delivery);
		break;
	case RECORDING:
		if (delivery->lease)
			record(delivery);
		else
			regain(delivery);
		break;
	}
}

struct delivery *delivery_begin(const struct delivery_context *context, struct lease **lease,
	delivery_ended_fn *ended, void *arg)
{
	struct delivery *delivery = xcalloc(1, sizeof(*delivery));

	*delivery = (struct delivery){ .context = *context, .lease = *lease, .ended = ended, .arg = arg };
	*lease = NULL;
	memcpy(delivery->id, delivery->lease->id, sizeof(delivery->id));
	delivery->lease_ms = delivery->lease->lease_ms;
	delivery->pause = event_new(context->base, -1, 0, on_pause_over, delivery);
	delivery->renewal = event_new(context->base, -1, EV_PERSIST, on_renewal_due, delivery);
	if (!delivery->pause || !delivery->renewal)
		BUG("no event for a timer");
	take_step(delivery);
	return delivery;
}
