/* notice.c - tells a sender what is recorded of a message
 * SPDX-License-Identifier: MIT */
#include "worker/notice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"
#include "common/message/bounce.h"
#include "common/message/xtext.h"

struct notice {
	struct notice_settings settings;
	const struct envelope *original;
	struct outcomes *done;
	struct bounce_result *group;
	size_t count;
	struct bounce_options options;
	char *to;			/* double_bounce, which may go with its queue while it is made; NULL: the sender */
	struct envelope *made;		/* NULL: it could not be */
	char id[ID_SIZE];
	int whole_error;		/* why the original does not come back whole */
	bool stopped;
	notice_done_fn *on_done;
	void *arg;
};

static const char *const action_names[] = {
	[BOUNCE_FAILED] = "failed", [BOUNCE_DELAYED] = "delayed",
	[BOUNCE_DELIVERED] = "delivered", [BOUNCE_RELAYED] = "relayed",
};

/* ---- what is owed */

static bool is_first(enum outcome_kind kind)
{
	return kind == OUTCOME_DELAYED || kind == OUTCOME_DELIVERED || kind == OUTCOME_FAILED;
}

static enum bounce_action action_of(const struct notice_settings *settings, enum outcome_kind kind)
{
	if (kind == OUTCOME_FAILED)
		return BOUNCE_FAILED;
	if (kind == OUTCOME_DELAYED)
		return BOUNCE_DELAYED;
	return settings->relay_is_final ? BOUNCE_DELIVERED : BOUNCE_RELAYED;
}

/* A policy may have given it another address: the original one says what it is. */
static bool is_double_bounce(const struct recipient *recipient, const char *double_bounce)
{
	const char *original = recipient->orcpt ? orcpt_address(recipient->orcpt) : NULL;

	return strcmp(recipient->address, double_bounce) == 0 || (original && strcmp(original, double_bounce) == 0);
}

bool notice_is_wanted(const struct notice_settings *settings, const struct envelope *envelope, size_t index,
	enum outcome_kind kind)
{
	const struct recipient *recipient = &envelope->recipients[index];
	const char *double_bounce = settings->options->double_bounce;

	if (envelope->sender && *envelope->sender)
		return bounce_is_wanted(recipient, action_of(settings, kind));
	return kind == OUTCOME_FAILED && double_bounce && !is_double_bounce(recipient, double_bounce) &&
		bounce_is_wanted(recipient, BOUNCE_FAILED);
}

static bool owes(const struct notice_settings *settings, const struct envelope *envelope, const struct outcome *outcome)
{
	return is_first(outcome->kind) && outcome->index < envelope->recipient_count &&
		notice_is_wanted(settings, envelope, outcome->index, outcome->kind);
}

bool notice_is_owed(const struct notice_settings *settings, const struct envelope *envelope, const struct outcomes *done)
{
	for (size_t i = 0; i < done->count; i++)
		if (owes(settings, envelope, &done->items[i]))
			return true;
	return false;
}

/* ---- one group */

/* A command is no host, a server of LMTP is one. */
static const char *remote_mta(const struct notice_settings *settings, const struct outcome *outcome)
{
	return settings->relay_is_final && !text_has_suffix(outcome->host, "]") ? "" : outcome->host;
}

static void gather(struct notice *notice)
{
	const struct outcomes *done = notice->done;

	notice->group = xcalloc(done->count + 1, sizeof(*notice->group));
	for (size_t i = 0; i < done->count; i++) {
		const struct outcome *outcome = &done->items[i];

		if (owes(&notice->settings, notice->original, outcome))
			notice->group[notice->count++] = (struct bounce_result){ outcome->index,
				action_of(&notice->settings, outcome->kind), &outcome->reply,
				remote_mta(&notice->settings, outcome), outcome->time_ms, outcome->tls };
	}
	bounce_sort(notice->group, notice->count);
	notice->count = bounce_group(notice->group, notice->count);
	if (!notice->count)
		BUG("nobody is to be told");
}

static void choose_options(struct notice *notice)
{
	const struct queue_options *options = notice->settings.options;
	const struct envelope *original = notice->original;
	struct bounce_options *chosen = &notice->options;

	*chosen = (struct bounce_options){ .hostname = notice->settings.hostname,
		.size_limit_bytes = options->bounce_size_limit };
	if (!original->sender || !*original->sender)
		chosen->to = notice->to = xstrdup(options->double_bounce);
	/* When it was recorded, not now: it has to come out the same again. */
	for (size_t i = 0; i < notice->count; i++)
		if (notice->group[i].attempt_ms > chosen->now_ms)
			chosen->now_ms = notice->group[i].attempt_ms;
	if (!chosen->now_ms)
		chosen->now_ms = original->timestamp_ms;
	if (options->retry.maximum_age_ms)
		chosen->retry_until_ms = original->timestamp_ms + options->retry.maximum_age_ms;
}

static void finish(struct notice *notice, const struct reply *why)
{
	notice_done_fn *on_done = notice->on_done;
	void *arg = notice->arg;

	envelope_free(notice->made);
	free(notice->group);
	free(notice->to);
	free(notice);
	on_done(arg, why);
}

/* ---- it is written */

static void log_written(const struct notice *notice)
{
	bool failed = notice->group[0].action == BOUNCE_FAILED;

	counter_add(notice->settings.counters, COUNTER_WORKER_NOTIFIED, 1);
	log_info("worker", failed ? "bounced" : "notified", LOG_TEXT("id", notice->original->id),
		LOG_TEXT("notification", notice->id),
		LOG_TEXT("to", notice->options.to ? notice->options.to : notice->original->sender),
		LOG_TEXT("queue", queue_name(notice->settings.into)),
		LOG_TEXT("action", action_names[notice->group[0].action]), LOG_INT("recipients", notice->count),
		LOG_TEXT("recipient", notice->original->recipients[notice->group[0].index].address));
}

/* The second of the pair takes the first's reply, host and time. */
static void record_told(struct notice *notice)
{
	static const enum outcome_kind seconds[] = {
		[BOUNCE_FAILED] = OUTCOME_BOUNCED, [BOUNCE_DELAYED] = OUTCOME_WARNED,
		[BOUNCE_DELIVERED] = OUTCOME_CONFIRMED, [BOUNCE_RELAYED] = OUTCOME_CONFIRMED,
	};

	for (size_t i = 0; i < notice->count; i++)
		outcomes_add(notice->done, &(struct outcome){ .index = notice->group[i].index,
			.kind = seconds[notice->group[i].action] });
}

/* Another message of this id can only be this one, written by a worker that died, under a configuration by which it
 * came out otherwise. */
static bool is_there_already(const struct reply *why)
{
	return why->code == 554 && why->subject == 3 && why->detail == 0;
}

static void on_submitted(void *arg, const struct reply *why)
{
	struct notice *notice = arg;

	if (why && !is_there_already(why)) {
		finish(notice, why);
		return;
	}
	log_written(notice);
	record_told(notice);
	finish(notice, NULL);
}

static void answer_451(struct notice *notice, const char *text)
{
	struct reply why = { 0 };

	reply_set(&why, 451, "4.3.0", "%s", text);
	finish(notice, &why);
	reply_release(&why);
}

/* ---- it is made, on the disk pool: it reads the original */

/* Where a policy gives it another address, this one tells what it is; another queue has another double_bounce, and tells
 * nobody of it. */
static void name_double_bounce(const struct notice *notice)
{
	struct recipient *recipient = &notice->made->recipients[0];
	bool ascii = address_is_ascii(notice->options.to);

	free(recipient->orcpt);
	recipient->notify = NOTIFY_NEVER;
	recipient->orcpt = xasprintf("%s;%s", ascii ? "rfc822" : "utf-8", notice->options.to);
}

static void make(void *arg)
{
	struct notice *notice = arg;
	struct bounce_options header_only = notice->options;

	header_only.size_limit_bytes = 0;
	notice->made = bounce_new(notice->original, notice->group, notice->count, &notice->options);
	if (!notice->made) {
		notice->whole_error = errno;
		notice->made = bounce_new(notice->original, notice->group, notice->count, &header_only);
	}
	if (notice->made && notice->options.to)
		name_double_bounce(notice);
}

static void on_made(void *arg)
{
	struct notice *notice = arg;

	if (notice->whole_error)
		log_warn("worker", "could not read a message for its notification",
			LOG_TEXT("id", notice->original->id), LOG_TEXT("error", strerror(notice->whole_error)));
	if (notice->stopped || !notice->made) {
		answer_451(notice, notice->stopped ? "Worker ends" : "Message could not be read");
		return;
	}
	memcpy(notice->id, notice->made->id, sizeof(notice->id));
	queue_submit(notice->settings.into, &notice->made, on_submitted, notice);
}

struct notice *notice_write(const struct notice_settings *settings, const struct envelope *original,
	struct outcomes *done, notice_done_fn *on_done, void *arg)
{
	struct notice *notice = xcalloc(1, sizeof(*notice));

	*notice = (struct notice){ .settings = *settings, .original = original, .done = done, .on_done = on_done,
		.arg = arg };
	gather(notice);
	choose_options(notice);
	pool_submit(settings->disk, make, on_made, notice);
	return notice;
}

void notice_stop(struct notice *notice)
{
	notice->stopped = true;
}
