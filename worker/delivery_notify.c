/* delivery_notify.c - the notifications that are owed, one after the other
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/delivery_parts.h"

static void on_held(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;

	delivery->in_call = false;
	if (why)
		delivery_log_failed(delivery, "could not hold", why);
	delivery->put_off = true;
	delivery_next(delivery);
}

/* A refusal for good would come again each time, and a sender who is not told must not be forgotten: an operator has to
 * see to it. */
static void hold(struct delivery *delivery, const struct reply *why)
{
	struct buffer text = { 0 };
	char *reason;

	reply_append(why, &text);
	reason = xasprintf("its bounce was refused: %s", buffer_str(&text));
	log_error("worker", "notification refused, message held", LOG_TEXT("id", delivery->id),
		LOG_TEXT("queue", queue_name(delivery->context.bounce_queue)), LOG_TEXT("reply", buffer_str(&text)));
	delivery->in_call = true;
	queue_mark(delivery->context.queue, delivery->id, MARK_HOLD, reason, on_held, delivery);
	free(reason);
	buffer_release(&text);
}

static void on_noticed(void *arg, const struct reply *why)
{
	struct delivery *delivery = arg;

	delivery->notice = NULL;
	delivery->in_call = false;
	if (delivery->abandoned) {
		delivery_release(delivery);
	} else if (why && reply_is_permanent(why) && !delivery->stopped) {
		hold(delivery, why);
	} else if (why) {
		delivery_step_failed(delivery, why);
	} else {
		delivery->pause_ms = 0;
		delivery_next(delivery);
	}
}

void delivery_notify(struct delivery *delivery)
{
	/* What was delivered is recorded; what may yet kill a worker is the message. */
	now_reach(delivery->context.now, delivery->row, LEASE_BEGUN);
	delivery->in_call = true;
	delivery->notice = notice_write(&delivery->notices, delivery->envelope, &delivery->state.done, on_noticed,
		delivery);
}
