/* delivery.c - one message under our lease, from the claim until it is given back or gone
 * SPDX-License-Identifier: MIT
 * The flow: one function decides what is next. delivery_record.c tells the storage, delivery_notify.c the sender. */
#include "worker/delivery.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/delivery_parts.h"
#include "worker/verdict.h"

void delivery_release(struct delivery *delivery)
{
	if (delivery->envelope)
		counter_add(delivery->context.counters, COUNTER_WORKER_ATTEMPTS, -1);
	progress_free(delivery->progress, delivery->envelope ? delivery->envelope->recipient_count : 0);
	envelope_free(delivery->envelope);
	message_state_release(&delivery->state);
	outcomes_release(&delivery->renewing);
	reply_release(&delivery->full_line);
	free(delivery->left_out);
	event_free(delivery->pause);
	event_free(delivery->renewal);
	now_release(delivery->context.now, delivery->row);
	free(delivery);
}

void delivery_abandon(struct delivery *delivery)
{
	if (delivery->envelope)
		progress_log_in_doubt(delivery->progress, delivery->envelope, delivery->context.relay->name);
	now_release(delivery->context.now, delivery->row);
	delivery->context.now = NULL;
	delivery->abandoned = true;
	if (!delivery->notice)
		delivery_release(delivery);
}

void delivery_stop(struct delivery *delivery)
{
	delivery->stopped = true;
	if (delivery->notice)
		notice_stop(delivery->notice);
}

void delivery_end(struct delivery *delivery)
{
	delivery->ended(delivery->arg, delivery);
	delivery_release(delivery);
}

bool delivery_is_past_the_dot(const struct delivery *delivery)
{
	return delivery->past_the_dot && delivery->relay == RELAY_UNDER_WAY;
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

/* ---- fetching */

static struct verdict verdict_of(struct delivery *delivery)
{
	return (struct verdict){ &delivery->notices, &queue_options(delivery->context.queue)->retry,
		delivery->envelope, &delivery->state, delivery->progress, delivery->attempt_ms, clock_wall_ms() };
}

size_t delivery_count_open(const struct delivery *delivery)
{
	size_t count = 0;

	for (size_t i = 0; i < delivery->envelope->recipient_count; i++)
		if (outcome_is_open(outcomes_find(&delivery->state.done, i)))
			count++;
	return count;
}

static void take_message(struct delivery *delivery, struct envelope **envelope, struct message_state *state)
{
	struct verdict verdict;

	delivery->envelope = *envelope;
	*envelope = NULL;
	delivery->state = *state;
	*state = (struct message_state){ 0 };
	delivery->pause_ms = 0;
	counter_add(delivery->context.counters, COUNTER_WORKER_ATTEMPTS, 1);
	delivery->progress = progress_new(delivery->envelope);
	verdict = verdict_of(delivery);
	delivery->unrecorded = verdict_before(&verdict);
	delivery->unrecorded |= delivery_leave_out(delivery, &verdict);
	delivery->left = delivery_count_open(delivery) - delivery->left_out_count;
	log_debug("worker", "fetched", LOG_TEXT("id", delivery->id),
		LOG_INT("recipients", delivery->envelope->recipient_count), LOG_INT("open", delivery->left),
		LOG_INT("attempts", delivery->state.attempts));
	/* None is left where its worker died between the last record and the removal, or where all wait. */
	if (!delivery->left)
		delivery->relay = RELAY_OVER;
}

static void on_fetched(void *arg, const struct reply *why, struct envelope **envelope, struct message_state *state)
{
	struct delivery *delivery = arg;

	delivery->in_call = false;
	if (!why) {
		take_message(delivery, envelope, state);
		delivery_next(delivery);
		return;
	}
	if (!reply_is_permanent(why)) {
		delivery_step_failed(delivery, why);
		return;
	}
	delivery_log_failed(delivery, "set aside", why);
	delivery_give_back(delivery, 0);
}

static void fetch(struct delivery *delivery)
{
	delivery->in_call = true;
	queue_get(delivery->context.queue, delivery->lease, on_fetched, delivery);
}

/* ---- the relay */

static void on_settled(void *arg, size_t index, const struct relay_result *result)
{
	struct delivery *delivery = arg;

	if (index >= delivery->envelope->recipient_count || delivery->progress[index].settled ||
			(delivery->left_out && delivery->left_out[index]))
		BUG("recipient %zu was settled twice, or was not to be tried", index);
	progress_settle(&delivery->progress[index], result);
	delivery->left--;
	if (!reply_is_success(result->reply))
		return;
	outcomes_add(&delivery->state.done, &(struct outcome){ index, OUTCOME_DELIVERED, *result->reply,
		(char *)result->host, delivery->attempt_ms, (char *)result->tls });
	/* It is the next hop's to tell him (RFC 3461 5.2.2): nothing is owed, as if that was done. */
	if (result->dsn_passed_on)
		outcomes_add(&delivery->state.done, &(struct outcome){ .index = index, .kind = OUTCOME_CONFIRMED });
	delivery->unrecorded = true;
	if (delivery->left)
		delivery_next(delivery);
}

/* What waits in a line kills no worker. Past the dot there is no way back: a recipient may have been served. */
static void on_in_line(void *arg, bool waits)
{
	struct delivery *delivery = arg;

	if (delivery->past_the_dot || delivery->in_line == waits)
		return;
	delivery->in_line = waits;
	now_reach(delivery->context.now, delivery->row, waits ? LEASE_IN_LINE : LEASE_BEGUN);
}

static void on_relay_finished(void *arg)
{
	struct delivery *delivery = arg;
	struct verdict verdict = verdict_of(delivery);

	on_in_line(delivery, false);
	if (delivery->left)
		BUG("a relay left %zu recipients open", delivery->left);
	delivery->relay = RELAY_OVER;
	delivery->resume = NULL;
	if (verdict_after(&verdict))
		delivery->unrecorded = true;
	delivery_next(delivery);
}

static void relay(struct delivery *delivery)
{
	struct relay_delivery what = { delivery->envelope, &delivery->state.done, on_settled, on_relay_finished,
		delivery_commit, delivery, delivery->left_out, on_in_line };

	if (delivery->draining) {
		delivery_give_back(delivery, 0);
		return;
	}
	delivery->relay = RELAY_UNDER_WAY;
	now_reach(delivery->context.now, delivery->row, LEASE_BEGUN);
	delivery->tried = true;
	delivery->attempt_ms = clock_wall_ms();
	delivery->pause_ms = 0;
	relay_deliver(delivery->context.relay, &what);
}

/* ---- what is next */

static enum delivery_step what_is_next(const struct delivery *delivery)
{
	if (!delivery->envelope)
		return STEP_FETCH;
	if (delivery->relay == RELAY_UNDER_WAY)
		return STEP_RENEW;
	/* Who is still open does not wait for a notification that cannot be written now. */
	if (delivery->put_off)
		return delivery->relay == RELAY_TO_COME && !delivery->draining && !delivery->lost ? STEP_RELAY : STEP_END;
	/* Recorded first, so that whoever comes after us makes the same of it. */
	if (notice_is_owed(&delivery->notices, delivery->envelope, &delivery->state.done))
		return delivery->unrecorded ? STEP_RECORD : STEP_NOTIFY;
	return delivery->relay == RELAY_TO_COME ? STEP_RELAY : STEP_END;
}

void delivery_next(struct delivery *delivery)
{
	if (delivery->in_call || delivery->stopped)
		return;
	delivery->step = what_is_next(delivery);
	switch (delivery->step) {
	case STEP_FETCH:
		fetch(delivery);
		break;
	case STEP_RELAY:
		relay(delivery);
		break;
	case STEP_RENEW:
	case STEP_RECORD:
		delivery_renew(delivery);
		break;
	case STEP_NOTIFY:
		delivery_notify(delivery);
		break;
	case STEP_END:
		delivery_record_end(delivery);
		break;
	}
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	delivery_next(arg);
}

static void on_renewal_due(evutil_socket_t fd, short what, void *arg)
{
	struct delivery *delivery = arg;

	(void)fd;
	(void)what;
	if (delivery->relay == RELAY_UNDER_WAY || delivery->step == STEP_NOTIFY)
		delivery_renew(delivery);
}

struct delivery *delivery_begin(const struct delivery_context *context, struct lease **lease,
	delivery_ended_fn *ended, void *arg)
{
	struct delivery *delivery = xcalloc(1, sizeof(*delivery));

	*delivery = (struct delivery){ .context = *context, .lease = *lease, .ended = ended, .arg = arg };
	*lease = NULL;
	memcpy(delivery->id, delivery->lease->id, sizeof(delivery->id));
	delivery->row = now_hold(context->now, delivery->id);
	delivery->notices = (struct notice_settings){ context->disk, context->bounce_queue,
		queue_options(context->queue), context->hostname, context->relay->driver->is_final, context->counters };
	delivery->pause = event_new(context->base, -1, 0, on_pause_over, delivery);
	delivery->renewal = event_new(context->base, -1, EV_PERSIST, on_renewal_due, delivery);
	if (!delivery->pause || !delivery->renewal)
		BUG("no event for a timer");
	delivery_lease_begin(delivery);
	delivery_next(delivery);
	return delivery;
}
