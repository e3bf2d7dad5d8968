/* verdict.c - what results mean for each recipient
 * SPDX-License-Identifier: MIT */
#include "worker/verdict.h"

#include <string.h>

#include "common/base/text.h"

#define TOO_MANY " (Too many retries)"
#define REASON_MAX 8000		/* of a reply's text, so that what is appended is not what is cut off */

/* As the attempt went; its reply is `reply`. */
static void add(const struct verdict *verdict, size_t index, enum outcome_kind kind, const struct reply *reply)
{
	const struct progress *one = &verdict->progress[index];

	outcomes_add(&verdict->state->done,
		&(struct outcome){ index, kind, *reply, one->host, verdict->attempt_ms, one->tls });
	verdict->progress[index].failed = kind == OUTCOME_FAILED;
}

static void set_given_up(struct reply *to, const struct reply *last)
{
	const char *text = last->text ? last->text : "";
	size_t size = strlen(text);
	char status[16];

	reply_copy(to, last);
	if (text_has_suffix(text, TOO_MANY))
		return;
	snprintf(status, sizeof(status), "%d.%d.%d", last->code / 100, last->subject, last->detail);
	size = size > REASON_MAX ? utf8_cut(text, REASON_MAX) : size;
	reply_set(to, last->code, status, "%.*s" TOO_MANY, (int)size, text);
}

static bool is_too_old(const struct verdict *verdict)
{
	int64_t most_ms = verdict->retry->maximum_age_ms;

	return most_ms && verdict->now_ms - verdict->envelope->timestamp_ms >= most_ms;
}

static bool is_open(const struct verdict *verdict, size_t index)
{
	return outcome_is_open(outcomes_find(&verdict->state->done, index));
}

/* ---- before an attempt */

/* `last`: what this follows from; NULL: nothing. */
static void fail_all_open(const struct verdict *verdict, const struct reply *reply, const struct attempt *last)
{
	struct outcome outcome = { .kind = OUTCOME_FAILED, .reply = *reply, .host = last ? last->host : (char *)"",
		.time_ms = verdict->now_ms, .tls = last ? last->tls : NULL };

	for (size_t i = 0; i < verdict->envelope->recipient_count; i++) {
		if (!is_open(verdict, i))
			continue;
		outcome.index = i;
		outcomes_add(&verdict->state->done, &outcome);
		verdict->progress[i].failed = true;
	}
}

bool verdict_before(const struct verdict *verdict)
{
	const struct message_state *state = verdict->state;
	const struct attempt *last = state->last_count ? &state->last[state->last_count - 1] : NULL;
	struct reply reply = { 0 };

	if (state->bounce) {
		last = NULL;
		reply_set(&reply, 550, "5.7.0", "Returned to sender by an operator%s%s%s",
			strcmp(state->bounce, "operator") ? " (" : "",
			strcmp(state->bounce, "operator") ? state->bounce : "",
			strcmp(state->bounce, "operator") ? ")" : "");
	} else if (state->attempts > verdict->retry->maximum || is_too_old(verdict)) {
		if (last && !reply_is_none(&last->reply))
			set_given_up(&reply, &last->reply);
		else
			reply_set(&reply, 451, "4.4.7", "Delivery time expired");
	} else {
		return false;
	}
	fail_all_open(verdict, &reply, last);
	reply_release(&reply);
	return true;
}

/* ---- after an attempt */

static bool is_late(const struct verdict *verdict, size_t index)
{
	int64_t after_ms = verdict->retry->notify_delay_ms;

	return after_ms && verdict->now_ms - verdict->envelope->timestamp_ms >= after_ms &&
		!outcomes_find(&verdict->state->done, index) &&
		notice_is_wanted(verdict->notices, verdict->envelope, index, OUTCOME_DELAYED);
}

bool verdict_suspended(const struct verdict *verdict, size_t index, const char *domain)
{
	struct reply reply = { 0 };

	if (!is_late(verdict, index))
		return false;
	reply_set(&reply, 451, "4.3.2", "Deliveries to %s are suspended", *domain == '.' ? domain + 1 : domain);
	outcomes_add(&verdict->state->done, &(struct outcome){ index, OUTCOME_DELAYED, reply, (char *)"",
		verdict->now_ms });
	reply_release(&reply);
	return true;
}

/* True if it was added to `done`. */
static bool judge(const struct verdict *verdict, size_t index, bool given_up)
{
	const struct progress *one = &verdict->progress[index];
	struct reply reply = { 0 };

	if (reply_is_permanent(&one->reply)) {
		add(verdict, index, OUTCOME_FAILED, &one->reply);
	} else if (given_up) {
		set_given_up(&reply, &one->reply);
		add(verdict, index, OUTCOME_FAILED, &reply);
		reply_release(&reply);
	} else if (is_late(verdict, index)) {
		add(verdict, index, OUTCOME_DELAYED, &one->reply);
	} else {
		return false;
	}
	return true;
}

/* Who waits in a full line has no reply, and may be late all the same. */
static bool judge_waiting(const struct verdict *verdict, size_t index)
{
	struct reply reply = { 0 };

	if (!verdict->progress[index].later_ms || !is_late(verdict, index))
		return false;
	progress_say_full_line(&verdict->progress[index], &reply);
	add(verdict, index, OUTCOME_DELAYED, &reply);
	reply_release(&reply);
	return true;
}

bool verdict_after(const struct verdict *verdict)
{
	bool given_up = verdict->state->attempts >= verdict->retry->maximum || is_too_old(verdict), any = false;

	for (size_t i = 0; i < verdict->envelope->recipient_count; i++)
		if (progress_is_unsuccessful(&verdict->progress[i]))
			any |= judge(verdict, i, given_up);
		else
			any |= judge_waiting(verdict, i);
	return any;
}
