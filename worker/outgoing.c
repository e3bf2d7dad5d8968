/* outgoing.c - some recipients of a message, on their way to one next hop by SMTP
 * SPDX-License-Identifier: MIT */
#include "worker/outgoing.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/relay_drivers.h"
#include "worker/sending_parts.h"

/* ---- the question before the final dot */

static void wake_up(struct sending *sending)
{
	if (!sending->asked && !TAILQ_EMPTY(&sending->asking))
		event_active(sending->wake, EV_TIMEOUT, 0);
}

/* The resumed may end the whole message. */
static void tell(struct outgoing *outgoing, enum relay_go go)
{
	relay_resume_fn *resume = outgoing->resume;

	outgoing->resume = NULL;
	wake_up(outgoing->sending);
	resume(outgoing->resume_arg, go);
}

static void on_resumed(void *arg, enum relay_go go)
{
	struct sending *sending = arg;
	struct outgoing *outgoing = sending->asked;

	sending->asked = NULL;
	tell(outgoing, go);
}

static enum relay_go ask(struct outgoing *outgoing)
{
	struct sending *sending = outgoing->sending;
	enum relay_go go = sending->delivery.commit(sending->delivery.arg, on_resumed, sending);

	if (go == RELAY_WAIT)
		sending->asked = outgoing;
	return go;
}

void outgoing_ask_next(struct sending *sending)
{
	struct outgoing *next = TAILQ_FIRST(&sending->asking);
	enum relay_go go;

	if (sending->asked || !next)
		return;
	TAILQ_REMOVE(&sending->asking, next, asking);
	go = ask(next);
	if (go != RELAY_WAIT)
		tell(next, go);
}

static void take_back(struct outgoing *outgoing)
{
	struct sending *sending = outgoing->sending;

	if (!outgoing->resume)
		return;
	outgoing->resume = NULL;
	if (sending->asked != outgoing) {
		TAILQ_REMOVE(&sending->asking, outgoing, asking);
		return;
	}
	sending->asked = NULL;
	sending->delivery.commit(sending->delivery.arg, NULL, NULL);
	wake_up(sending);
}

enum relay_go outgoing_commit(struct outgoing *outgoing, relay_resume_fn *resume, void *resume_arg)
{
	struct sending *sending = outgoing->sending;
	enum relay_go go = RELAY_WAIT;

	take_back(outgoing);
	if (!resume)
		return RELAY_STOP;
	if (sending->asked || !TAILQ_EMPTY(&sending->asking))
		TAILQ_INSERT_TAIL(&sending->asking, outgoing, asking);
	else
		go = ask(outgoing);
	if (go != RELAY_WAIT)
		return go;
	outgoing->resume = resume;
	outgoing->resume_arg = resume_arg;
	return RELAY_WAIT;
}

/* ---- in line: the message waits if all that is left of it does */

static void say_in_line(const struct sending *sending)
{
	if (sending->count)
		relay_say_in_line(&sending->delivery, sending->waiting == sending->count);
}

void outgoing_say_in_line(struct outgoing *outgoing, bool waits)
{
	if (outgoing->waits == waits)
		return;
	outgoing->waits = waits;
	if (waits)
		outgoing->sending->waiting++;
	else
		outgoing->sending->waiting--;
	say_in_line(outgoing->sending);
}

/* ---- the end */

void outgoing_free(struct outgoing *outgoing)
{
	struct sending *sending = outgoing->sending;

	if (outgoing->owner && outgoing->owner->gone)
		outgoing->owner->gone(outgoing->owner_arg);
	take_back(outgoing);
	TAILQ_REMOVE(&sending->outgoings, outgoing, of_sending);
	sending->count--;
	sending->waiting -= outgoing->waits;
	mail_source_free(outgoing->source);
	free(outgoing->open);
	free(outgoing);
}

void outgoing_settle(struct outgoing *outgoing, size_t recipient, const struct relay_result *result)
{
	struct sending *sending = outgoing->sending;
	size_t at = 0;

	while (at < outgoing->count && outgoing->open[at] != recipient)
		at++;
	if (at == outgoing->count)
		BUG("recipient %zu is settled twice", recipient);
	outgoing->count--;
	memmove(&outgoing->open[at], &outgoing->open[at + 1], (outgoing->count - at) * sizeof(*outgoing->open));
	sending->left--;
	sending->delivery.settled(sending->delivery.arg, recipient, result);
}

void outgoing_finish(struct outgoing *outgoing, const struct relay_result *result)
{
	struct sending *sending = outgoing->sending;

	for (size_t i = 0; i < outgoing->count; i++) {
		sending->left--;
		sending->delivery.settled(sending->delivery.arg, outgoing->open[i], result);
	}
	outgoing_free(outgoing);
	say_in_line(sending);
	sending_end_if_over(sending);
}

void outgoing_refuse(struct outgoing *outgoing, const struct relay_result *why)
{
	if (outgoing->owner)
		outgoing->owner->refused(outgoing->owner_arg, outgoing, why);
	else
		outgoing_finish(outgoing, why);
}

void outgoing_log_in_doubt(const struct outgoing *outgoing, const char *relay, const char *host, const char *reason)
{
	for (size_t i = 0; i < outgoing->count; i++)
		log_warn("relay", "in doubt", LOG_TEXT("id", outgoing->envelope->id),
			LOG_TEXT("recipient", outgoing->envelope->recipients[outgoing->open[i]].address),
			LOG_TEXT("relay", relay), LOG_TEXT("host", host), LOG_TEXT("reason", reason));
}
