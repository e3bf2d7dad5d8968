/* redis_wait.c - until replicas have what was written: one WAIT for all writes of a turn of the loop
 * SPDX-License-Identifier: MIT
 * It holds up what is sent behind it, so that many of them would go through one by one. */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/redis_queue.h"

struct waiter {
	STAILQ_ENTRY(waiter) next;
	storage_done_fn *done;
	void *arg;
};
STAILQ_HEAD(waiter_list, waiter);

struct redis_waiters {
	struct waiter_list gathered;	/* since the last WAIT */
	struct event *kick;
	bool said;			/* there are too few; in the log */
};

/* Those of one WAIT. */
struct wait_op {
	struct redis_queue *queue;
	struct waiter_list waiters;
};

static void say(struct redis_queue *queue, int64_t have, const struct redisReply *error)
{
	struct redis_waiters *all = queue->waiters;

	if (!all->said)
		log_error("queue", "too few replicas have what was written", LOG_TEXT("queue", queue->storage.context.queue),
			LOG_INT("wanted", queue->wait_replicas), LOG_INT("have", have),
			LOG_TEXT("error", error ? error->str : NULL));
	all->said = true;
}

static void answer(struct waiter_list *waiters, const struct reply *why)
{
	struct waiter *waiter;

	while ((waiter = STAILQ_FIRST(waiters))) {
		STAILQ_REMOVE_HEAD(waiters, next);
		waiter->done(waiter->arg, why);
		free(waiter);
	}
}

static void on_replicas(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct wait_op *op = arg;
	struct redis_queue *queue = op->queue;
	int64_t have = reply ? redis_number(reply, -1) : -1;
	struct reply few = { 0 };

	if (why)
		reply_set(&few, 451, "4.4.2", "Whether replicas have the message is not known");
	if (reply && have >= queue->wait_replicas) {
		queue->waiters->said = false;
	} else if (reply) {
		say(queue, have, reply->type == REDIS_REPLY_ERROR ? reply : NULL);
		reply_set(&few, 451, "4.3.0", "Too few replicas have the message");
	}
	answer(&op->waiters, reply_is_none(&few) ? NULL : &few);
	reply_release(&few);
	free(op);
}

static void send_wait(evutil_socket_t fd, short what, void *arg)
{
	struct redis_queue *queue = arg;
	struct wait_op *op = xcalloc(1, sizeof(*op));
	char count[REDIS_NUMBER_SIZE], timeout[REDIS_NUMBER_SIZE];
	/* Less than what ends the connection, with all that is behind it. */
	int64_t timeout_ms = queue->settings.timeout_ms / 2;

	(void)fd;
	(void)what;
	op->queue = queue;
	STAILQ_INIT(&op->waiters);
	STAILQ_CONCAT(&op->waiters, &queue->waiters->gathered);
	redis_send(queue->redis, (const struct redis_part[]){ REDIS_PART("WAIT"), 
		redis_text_part(redis_number_text(count, queue->wait_replicas)),
		redis_text_part(redis_number_text(timeout, timeout_ms > 0 ? timeout_ms : 1)) }, 3, 0, on_replicas, op);
}

void redis_wait(struct redis_queue *queue, storage_done_fn *done, void *arg)
{
	struct waiter *waiter = xcalloc(1, sizeof(*waiter));

	if (!queue->waiters) {
		queue->waiters = xcalloc(1, sizeof(*queue->waiters));
		STAILQ_INIT(&queue->waiters->gathered);
		queue->waiters->kick = event_new(queue->storage.context.base, -1, 0, send_wait, queue);
		if (!queue->waiters->kick)
			BUG("no event");
	}
	*waiter = (struct waiter){ .done = done, .arg = arg };
	STAILQ_INSERT_TAIL(&queue->waiters->gathered, waiter, next);
	event_active(queue->waiters->kick, EV_TIMEOUT, 0);
}

void redis_wait_close(struct redis_queue *queue)
{
	struct reply why = { 0 };

	if (!queue->waiters)
		return;
	reply_set(&why, 451, "4.4.2", "The storage of the queue was closed");
	answer(&queue->waiters->gathered, &why);
	reply_release(&why);
	event_free(queue->waiters->kick);
	free(queue->waiters);
	queue->waiters = NULL;
}
