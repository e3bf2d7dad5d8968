/* progress.c - what became of each recipient of a message under way
 * SPDX-License-Identifier: MIT */
#include "worker/progress.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/notice.h"

struct progress *progress_new(const struct envelope *envelope)
{
	return xcalloc(envelope->recipient_count + 1, sizeof(struct progress));
}

void progress_free(struct progress *progress, size_t count)
{
	for (size_t i = 0; progress && i < count; i++) {
		reply_release(&progress[i].reply);
		free(progress[i].host);
		free(progress[i].tls);
	}
	free(progress);
}

void progress_settle(struct progress *progress, const struct relay_result *result)
{
	progress->settled = true;
	reply_copy(&progress->reply, result->reply);
	progress->host = xstrdup(result->host);
	progress->tls = result->tls ? xstrdup(result->tls) : NULL;
	progress->later_ms = result->later_ms;
}

bool progress_is_unsuccessful(const struct progress *progress)
{
	return progress->settled && !reply_is_none(&progress->reply) && !reply_is_success(&progress->reply);
}

static bool is_delivered(const struct progress *progress)
{
	return progress->settled && reply_is_success(&progress->reply);
}

const struct progress *progress_first_unsuccessful(const struct progress *progress, size_t count, bool open)
{
	for (size_t i = 0; i < count; i++)
		if (progress_is_unsuccessful(&progress[i]) && !(open && progress[i].failed))
			return &progress[i];
	return NULL;
}

const struct progress *progress_in_full_line(const struct progress *progress, size_t count)
{
	const struct progress *first = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!progress[i].settled || !reply_is_none(&progress[i].reply))
			continue;
		if (!first || progress[i].later_ms < first->later_ms)
			first = &progress[i];
	}
	return first && first->later_ms ? first : NULL;
}

void progress_say_full_line(const struct progress *progress, struct reply *reply)
{
	reply_set(reply, 451, "4.4.5", "Too many messages wait for %s", *progress->host ? progress->host : "the next hop");
}

void progress_mark_sent(struct progress *progress, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_delivered(&progress[i]) || progress[i].failed)
			progress[i].sent = true;
}

/* What a line says of one recipient. */
struct said {
	const struct reply *reply;
	const char *host, *tls;
	int64_t delay_ms;		/* -1: it is not tried again */
};

static void log_one(const char *event, const struct progress_log *log, size_t index, const struct said *said)
{
	struct buffer text = { 0 };
	struct log_field fields[] = {
		LOG_TEXT("id", log->envelope->id),
		LOG_TEXT("recipient", log->envelope->recipients[index].address),
		LOG_TEXT("relay", log->relay),
		LOG_TEXT("host", said->host),
		LOG_TEXT("tls", said->tls && *said->tls ? said->tls : NULL),
		LOG_TEXT("reply", NULL),
		LOG_INT("attempts", log->attempts),
		LOG_INT("age_ms", clock_wall_ms() - log->envelope->timestamp_ms),
		LOG_INT("delay_ms", said->delay_ms),
		{ 0 },
	};

	if (!log_wants(LOG_LEVEL_INFO, "worker"))
		return;
	reply_append(said->reply, &text);
	fields[5].text = buffer_str(&text);
	if (said->delay_ms < 0)
		fields[8].key = NULL;
	log_write(LOG_LEVEL_INFO, "worker", event, fields);
	buffer_release(&text);
}

/* P18: there is no bounce of a bounce, so somebody has to look at it here. */
static void log_unheard(const struct progress_log *log, size_t index, const struct reply *reply)
{
	const struct envelope *envelope = log->envelope;
	struct buffer text = { 0 };

	if ((envelope->sender && *envelope->sender) || notice_is_wanted(log->notices, envelope, index, OUTCOME_FAILED))
		return;
	reply_append(reply, &text);
	log_error("worker", "bounce could not be delivered", LOG_TEXT("id", envelope->id),
		LOG_TEXT("recipient", envelope->recipients[index].address), LOG_TEXT("reply", buffer_str(&text)));
	buffer_release(&text);
}

static void log_failed(const struct progress_log *log, size_t index)
{
	const struct outcome *outcome = outcomes_find(log->done, index);

	counter_add(log->counters, COUNTER_WORKER_FAILED, 1);
	log_one("failed", log, index, &(struct said){ &outcome->reply, outcome->host, outcome->tls, -1 });
	log_unheard(log, index, &outcome->reply);
}

void progress_log_recorded(struct progress *progress, const struct progress_log *log)
{
	for (size_t i = 0; i < log->envelope->recipient_count; i++) {
		if (!progress[i].sent || progress[i].logged)
			continue;
		progress[i].logged = true;
		if (progress[i].failed) {
			log_failed(log, i);
			continue;
		}
		counter_add(log->counters, COUNTER_WORKER_DELIVERED, 1);
		log_one("delivered", log, i, &(struct said){ &progress[i].reply, progress[i].host, progress[i].tls, -1 });
	}
}

void progress_log_deferred(const struct progress *progress, const struct progress_log *log, int64_t delay_ms)
{
	for (size_t i = 0; i < log->envelope->recipient_count; i++) {
		if (!progress_is_unsuccessful(&progress[i]) || progress[i].failed)
			continue;
		counter_add(log->counters, COUNTER_WORKER_DEFERRED, 1);
		log_one("deferred", log, i,
			&(struct said){ &progress[i].reply, progress[i].host, progress[i].tls, delay_ms });
	}
}

void progress_log_in_doubt(const struct progress *progress, const struct envelope *envelope, const char *relay)
{
	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (is_delivered(&progress[i]) && !progress[i].logged)
			log_warn("worker", "in doubt", LOG_TEXT("id", envelope->id),
				LOG_TEXT("recipient", envelope->recipients[i].address), LOG_TEXT("relay", relay),
				LOG_TEXT("reason", "delivered, and the queue did not record it"));
}
