/* release.c - who stops gives back what it has of a redis queue
 * SPDX-License-Identifier: MIT
 * At the end the loop is no more: a connection on a loop of its own says it, in a bounded time. What that does not reach is
 * free when the leases end. */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/work.h"

#define CLOSE_MS 2000

/* Tag and word, then id and epoch of each. */
struct named {
	struct redis_part *parts;
	char (*epochs)[REDIS_NUMBER_SIZE];
	size_t count, max;
};

static void named_init(struct named *named, const struct redis_work *work, const char *word, size_t leases)
{
	named->parts = xcalloc(2 + 2 * leases, sizeof(*named->parts));
	named->epochs = xcalloc(leases + 1, sizeof(*named->epochs));
	named->parts[0] = redis_text_part(work->tag);
	named->parts[1] = redis_text_part(word);
	named->count = 2;
}

static void name_lease(struct named *named, const struct redis_lease *lease)
{
	char *epoch = named->epochs[named->count / 2 - 1];

	named->parts[named->count++] = redis_text_part(lease->lease.id);
	named->parts[named->count++] = redis_text_part(redis_number_text(epoch, (int64_t)lease->lease.epoch));
}

static void named_release(struct named *named)
{
	free(named->parts);
	free(named->epochs);
}

static void on_stopped(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis_queue *queue = arg;

	if (!why && redis_number(reply, 0) == 1 && queue->work)
		redis_release_stop(queue, NULL, 0);
}

void redis_release_stop(struct redis_queue *queue, struct redis_lease *const leases[], size_t count)
{
	struct named named = { 0 };

	named_init(&named, queue->work, "stop", count);
	for (size_t i = 0; i < count; i++)
		name_lease(&named, leases[i]);
	redis_script(queue, SCRIPT_RELEASE, named.parts, named.count, on_stopped, queue);
	named_release(&named);
}

/* ---- at the end */

struct closing {
	struct redis_queue *queue;
	struct event_base *base;
	struct redis *redis;
	struct named named;
	bool over, said;
};

static void stop_waiting(struct closing *closing)
{
	closing->over = true;
	event_base_loopbreak(closing->base);
}

static void say(struct closing *closing);

static void on_said(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct closing *closing = arg;

	if (closing->over)
		return;
	if (!why && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1) {
		say(closing);
		return;
	}
	/* Of a cluster: the node that has the keys is another one, and it comes up next. */
	if (!why && reply->type == REDIS_REPLY_ERROR && redis_follow(closing->redis, reply))
		return;
	closing->said = !why && reply->type != REDIS_REPLY_ERROR;
	stop_waiting(closing);
}

static void say(struct closing *closing)
{
	const struct named *named = &closing->named;
	size_t count;
	struct redis_part *command = redis_script_command(closing->queue, SCRIPT_RELEASE, named->parts, named->count, &count);

	redis_send(closing->redis, command, count, CLOSE_MS, on_said, closing);
	free(command);
}

static void on_up(void *arg)
{
	say(arg);
}

static void on_down(void *arg, const struct reply *why)
{
	(void)why;
	stop_waiting(arg);
}

static void name_all(struct redis_queue *queue, struct named *named)
{
	const struct redis_work *work = queue->work;
	const struct redis_lease *lease;
	const struct redis_op *op;
	size_t count = 0;

	LIST_FOREACH(lease, &work->leases, next)
		count++;
	TAILQ_FOREACH(op, &work->ops, next)
		count++;
	named_init(named, work, "close", count);
	LIST_FOREACH(lease, &work->leases, next)
		name_lease(named, lease);
	TAILQ_FOREACH(op, &work->ops, next)
		if (op->lease)
			name_lease(named, op->lease);
}

/* Runs until it is said, or cannot be. */
static void run(struct closing *closing)
{
	static const struct redis_handler handler = { on_up, on_down };
	struct redis_queue *queue = closing->queue;
	struct resolver *resolver = NULL;

	closing->base = event_base_new();
	if (!closing->base)
		return;
	if (queue->resolver)
		resolver = resolver_new(closing->base, &queue->storage.context.process->resolver);
	closing->redis = redis_new(closing->base, resolver, &queue->settings, &handler, closing);
	event_base_loopexit(closing->base, &(struct timeval){ .tv_sec = CLOSE_MS / 1000 });
	event_base_dispatch(closing->base);
	closing->over = true;
	redis_free(closing->redis);
	resolver_free(resolver);
	event_base_free(closing->base);
}

void redis_release_close(struct redis_queue *queue)
{
	struct closing closing = { .queue = queue };

	/* Who never claimed has nothing. */
	if (!queue->work->claims)
		return;
	name_all(queue, &closing.named);
	if (queue->usable)
		run(&closing);
	if (!closing.said && closing.named.count > 2)
		log_warn("queue", "could not give back leases, they end by themselves",
			LOG_TEXT("queue", queue->storage.context.queue), LOG_INT("leases", closing.named.count / 2 - 1));
	named_release(&closing.named);
}
