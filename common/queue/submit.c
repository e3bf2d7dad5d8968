/* submit.c - entry to a queue: its policies, then one write of all that came out
 * SPDX-License-Identifier: MIT */
#include "common/queue/submit.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define UNKNOWN_FOR_MS 60000		/* how long an unknown outcome is asked for again */
#define ASK_AGAIN_MS 1000

static void finish(struct submission *submission)
{
	struct queue *queue = submission->queue;

	LIST_REMOVE(submission, next);
	queue->pending--;
	event_free(submission->later);
	submission->done(submission->arg, reply_is_none(&submission->why) ? NULL : &submission->why);
	envelopes_release(&submission->out);
	reply_release(&submission->why);
	free(submission);
}

static void answer_451(struct submission *submission)
{
	reply_set(&submission->why, 451, "4.3.0", "Error queuing message");
	finish(submission);
}

static void on_discarded(void *arg, const struct reply *why)
{
	struct submission *submission = arg;

	if (why)
		log_warn("queue", "could not take back a message of unknown state",
			LOG_TEXT("id", submission->out.items[0]->id), LOG_TEXT("queue", submission->queue->name));
	answer_451(submission);
}

static void take_back(struct submission *submission)
{
	struct storage *storage = submission->queue->storage;
	const char **ids = xcalloc(submission->out.count, sizeof(*ids));

	for (size_t i = 0; i < submission->out.count; i++)
		ids[i] = submission->out.items[i]->id;
	storage->driver->discard(storage, ids, submission->out.count, on_discarded, submission);
	free(ids);
}

static void wait_for(struct submission *submission, int64_t delay_ms)
{
	event_add(submission->later, &(struct timeval){ .tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000 });
}

/* A notification comes again under the same id, and what was discarded would count as finished then. */
static bool is_made_again(const struct submission *submission)
{
	return id_is_derived(submission->out.items[0]->id);
}

static void on_written(void *arg, const struct reply *why)
{
	struct submission *submission = arg;
	bool unknown;

	/* That a later write did nothing says nothing of the first one. */
	if (why && storage_is_unknown(why))
		submission->unknown = true;
	unknown = why && submission->unknown && reply_is_transient(why);
	if (unknown && clock_boot_ms() - submission->begun_boot_ms < UNKNOWN_FOR_MS) {
		wait_for(submission, ASK_AGAIN_MS);
	} else if (unknown && !is_made_again(submission)) {
		take_back(submission);
	} else if (unknown) {
		answer_451(submission);
	} else {
		if (why)
			reply_copy(&submission->why, why);
		finish(submission);
	}
}

/* The time has come to finish, or to write (again). */
static void on_later(evutil_socket_t fd, short what, void *arg)
{
	struct submission *submission = arg;
	struct storage *storage = submission->queue->storage;

	(void)fd;
	(void)what;
	if (!reply_is_none(&submission->why))
		finish(submission);
	else
		storage->driver->write(storage, submission->out.items, submission->out.count, 0, on_written, submission);
}

static void on_policies(void *arg, const struct reply *why)
{
	struct submission *submission = arg;

	if (why)
		reply_copy(&submission->why, why);
	else if (!submission->out.count)
		BUG("policies that leave nothing of a message");
	if (why)
		wait_for(submission, 0);
	else
		on_later(-1, 0, submission);
}

static struct submission *submission_new(struct queue *queue, storage_done_fn *done, void *arg)
{
	struct submission *submission = xcalloc(1, sizeof(*submission));

	*submission = (struct submission){ .queue = queue, .begun_boot_ms = clock_boot_ms(), .done = done, .arg = arg };
	submission->later = event_new(queue->storage->context.base, -1, 0, on_later, submission);
	if (!submission->later)
		BUG("no event");
	LIST_INSERT_HEAD(&queue->submissions, submission, next);
	queue->pending++;
	return submission;
}

void queue_submit(struct queue *queue, struct envelope **envelope, storage_done_fn *done, void *arg)
{
	struct submission *submission = submission_new(queue, done, arg);

	policy_chain_run(queue->policies, envelope, &submission->out, on_policies, submission);
}

size_t queue_pending(const struct queue *queue)
{
	return queue->pending;
}

void queue_answer_later(struct queue *queue, unsigned code, const char *status, const char *text,
	storage_done_fn *done, void *arg)
{
	struct submission *submission = submission_new(queue, done, arg);

	reply_set(&submission->why, code, status, "%s", text);
	wait_for(submission, 0);
}

void queue_submit_end(struct queue *queue)
{
	struct submission *submission;

	while ((submission = LIST_FIRST(&queue->submissions))) {
		if (reply_is_none(&submission->why))
			reply_set(&submission->why, 451, "4.3.0", "Error queuing message");
		finish(submission);
	}
}
