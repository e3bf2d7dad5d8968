/* progress.c - what became of each recipient of a message under way
 * SPDX-License-Identifier: MIT */
#include "worker/progress.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

struct progress *progress_new(const struct envelope *envelope, const struct outcomes *done, size_t *open)
{
	struct progress *progress = xcalloc(envelope->recipient_count + 1, sizeof(*progress));

	*open = 0;
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		const struct outcome *outcome = outcomes_find(done, i);

		progress[i].before = !outcome_is_open(outcome) && outcome->kind != OUTCOME_FAILED;
		if (!progress[i].before)
			++*open;
	}
	return progress;
}

void progress_free(struct progress *progress, size_t count)
{
	for (size_t i = 0; progress && i < count; i++) {
		reply_release(&progress[i].reply);
		free(progress[i].host);
	}
	free(progress);
}

void progress_settle(struct progress *progress, const struct reply *reply, const char *host)
{
	progress->settled = true;
	reply_copy(&progress->reply, reply);
	progress->host = xstrdup(host);
}

bool progress_is_complete(const struct progress *progress, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!progress[i].before && !reply_is_success(&progress[i].reply))
			return false;
	return true;
}

static bool has_failed(const struct progress *progress)
{
	return progress->settled && !reply_is_none(&progress->reply) && !reply_is_success(&progress->reply);
}

const struct progress *progress_first_failed(const struct progress *progress, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (has_failed(&progress[i]))
			return &progress[i];
	return NULL;
}

void progress_mark_sent(struct progress *progress, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (progress[i].settled && reply_is_success(&progress[i].reply))
			progress[i].sent = true;
}

static void log_one(const char *event, const struct progress *one, const struct envelope *envelope, size_t index,
	const char *relay, unsigned attempts, int64_t delay_ms)
{
	struct buffer reply = { 0 };
	struct log_field fields[] = {
		LOG_TEXT("id", envelope->id),
		LOG_TEXT("recipient", envelope->recipients[index].address),
		LOG_TEXT("relay", relay),
		LOG_TEXT("host", one->host),
		LOG_TEXT("reply", buffer_str(&reply)),
		LOG_INT("attempts", attempts),
		LOG_INT("age_ms", clock_wall_ms() - envelope->timestamp_ms),
		LOG_INT("delay_ms", delay_ms),
		{ 0 },
	};

	if (!log_wants(LOG_LEVEL_INFO, "worker"))
		return;
	reply_append(&one->reply, &reply);
	fields[4].text = buffer_str(&reply);
	if (delay_ms < 0)
		fields[7].key = NULL;
	log_write(LOG_LEVEL_INFO, "worker", event, fields);
	buffer_release(&reply);
}

void progress_log_delivered(struct progress *progress, const struct envelope *envelope, const char *relay,
	struct counters *counters, unsigned attempts)
{
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		if (!progress[i].sent || progress[i].logged)
			continue;
		progress[i].logged = true;
		counter_add(counters, COUNTER_WORKER_DELIVERED, 1);
		log_one("delivered", &progress[i], envelope, i, relay, attempts, -1);
	}
}

void progress_log_deferred(const struct progress *progress, const struct envelope *envelope, const char *relay,
	struct counters *counters, unsigned attempts, int64_t delay_ms)
{
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		if (!has_failed(&progress[i]))
			continue;
		counter_add(counters, COUNTER_WORKER_DEFERRED, 1);
		log_one("deferred", &progress[i], envelope, i, relay, attempts, delay_ms);
	}
}

void progress_log_in_doubt(const struct progress *progress, const struct envelope *envelope, const char *relay)
{
	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (progress[i].settled && reply_is_success(&progress[i].reply) && !progress[i].logged)
			log_warn("worker", "in doubt", LOG_TEXT("id", envelope->id),
				LOG_TEXT("recipient", envelope->recipients[i].address), LOG_TEXT("relay", relay),
				LOG_TEXT("reason", "delivered, and the queue did not record it"));
}
