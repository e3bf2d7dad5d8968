/* delivery_lease.c - for how long a message is ours, and whether that is enough for what cannot be taken back
 * SPDX-License-Identifier: MIT */
#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/delivery_parts.h"

#define MARGIN_MS 10000		/* beyond the longest silent step: else the lease is renewed first */

static int64_t left_ms(const struct delivery *delivery)
{
	if (delivery->lost)
		return INT64_MIN;
	if (delivery->lease_ms == INT64_MAX)
		return INT64_MAX;
	return delivery->lease_since_ms + delivery->lease_ms - clock_boot_ms();
}

void delivery_lease_begin(struct delivery *delivery)
{
	int64_t third_ms;

	delivery->lease_ms = delivery->lease->lease_ms;
	delivery->lease_since_ms = delivery->lease->claimed_boot_ms;
	delivery->lost = false;
	third_ms = delivery->lease_ms / 3;
	if (delivery->lease_ms != INT64_MAX)
		event_add(delivery->renewal, &(struct timeval){ third_ms / 1000, third_ms % 1000 * 1000 });
}

static void say_lost(const struct delivery *delivery, const char *because)
{
	log_warn("worker", "lost its lease", LOG_TEXT("id", delivery->id),
		LOG_TEXT("queue", queue_name(delivery->context.queue)), LOG_TEXT("because", because),
		LOG_TEXT("last_step", delivery->past_the_dot ? "taken" : "not taken"));
	if (delivery->past_the_dot)
		log_warn("worker", "in doubt", LOG_TEXT("id", delivery->id),
			LOG_TEXT("queue", queue_name(delivery->context.queue)),
			LOG_TEXT("relay", delivery->context.relay->name),
			LOG_TEXT("reason", "its lease ended past the last step"));
}

/* ---- the step that cannot be taken back */

static void resume(struct delivery *delivery, enum relay_go go)
{
	relay_resume_fn *fn = delivery->resume;

	delivery->resume = NULL;
	if (go == RELAY_GO)
		now_reach(delivery->context.now, delivery->row, LEASE_PAST_THE_DOT);
	delivery->past_the_dot = delivery->past_the_dot || go == RELAY_GO;
	fn(delivery->resume_arg, go);
}

static bool is_long_enough(const struct delivery *delivery)
{
	return left_ms(delivery) >= delivery->context.relay->step_ms + MARGIN_MS;
}

enum relay_go delivery_commit(void *arg, relay_resume_fn *fn, void *resume_arg)
{
	struct delivery *delivery = arg;

	delivery->resume = NULL;
	if (!fn || delivery->lost)
		return RELAY_STOP;
	if (is_long_enough(delivery)) {
		now_reach(delivery->context.now, delivery->row, LEASE_PAST_THE_DOT);
		delivery->past_the_dot = true;
		return RELAY_GO;
	}
	delivery->resume = fn;
	delivery->resume_arg = resume_arg;
	delivery->renewed = false;
	delivery_renew(delivery);
	return RELAY_WAIT;
}

/* The margin is for what is not renewed yet: beyond it, the step itself is enough. */
static void decide(struct delivery *delivery)
{
	if (!delivery->resume)
		return;
	if (is_long_enough(delivery) || (delivery->renewed && left_ms(delivery) > delivery->context.relay->step_ms)) {
		resume(delivery, RELAY_GO);
		return;
	}
	if (!delivery->lost && !delivery->renewed) {
		delivery_renew(delivery);
		return;
	}
	if (!delivery->lost)
		say_lost(delivery, "not renewed in time");
	resume(delivery, RELAY_STOP);
}

/* ---- renewals */

void delivery_lease_ask(struct delivery *delivery)
{
	delivery->asked_ms = clock_boot_ms();
	delivery->renewed = delivery->resume != NULL;
}

bool delivery_lease_is_lost(const struct reply *why)
{
	return why && why->code == 450 && why->subject == 2;
}

void delivery_lease_answer(struct delivery *delivery, const struct reply *why)
{
	if (!why) {
		delivery->lease_since_ms = delivery->asked_ms;
	} else if (delivery_lease_is_lost(why) && !delivery->lost) {
		delivery->lost = true;
		event_del(delivery->renewal);
		say_lost(delivery, "refused");
	}
	decide(delivery);
}
