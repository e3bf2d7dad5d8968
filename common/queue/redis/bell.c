/* bell.c - a token in a list of redis, waited for by a connection of its own
 * SPDX-License-Identifier: MIT
 * A connection that broke may have taken a token with it, and tokens come while nobody hears: so it rings when it is there
 * again. The server ends each wait after a while, so that a connection whose other end is gone is found out. */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/queue/redis/work.h"

#define BLOCK_S "60"
#define BLOCK_MS 60000
#define REFUSED_MS 500

struct redis_bell {
	struct redis_queue *queue;
	struct redis *redis;
	char *list;
	bool wanted;			/* to wait for a token */
	bool waiting;			/* the command is under way */
	bool doubtful;			/* a token may have been lost, or missed */
	bool closing;
	struct event *again;
	void (*rung)(void *arg);
	void *arg;
};

static void wait_for_token(struct redis_bell *bell);

/* A master that became a replica lets go of all who wait there. */
static void refused(struct redis_bell *bell, const struct redisReply *error)
{
	bell->doubtful = true;
	if (text_has_prefix(error->str, "UNBLOCKED"))
		redis_reconnect(bell->redis);
	else if (!redis_follow(bell->redis, error))
		event_add(bell->again, &(struct timeval){ .tv_usec = REFUSED_MS * 1000 });
}

static void on_token(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis_bell *bell = arg;

	bell->waiting = false;
	if (bell->closing)
		return;
	if (why) {
		bell->doubtful = true;
		/* It comes up again by itself. */
	} else if (reply->type == REDIS_REPLY_ERROR) {
		refused(bell, reply);
	} else if (reply->type == REDIS_REPLY_ARRAY) {
		bell->wanted = bell->doubtful = false;
		bell->rung(bell->arg);
	} else {
		wait_for_token(bell);
	}
}

static void wait_for_token(struct redis_bell *bell)
{
	const struct redis_part command[] = { REDIS_PART("BLPOP"), redis_text_part(bell->list), REDIS_PART(BLOCK_S) };

	if (!bell->wanted || bell->waiting || !redis_is_up(bell->redis))
		return;
	bell->waiting = true;
	redis_send(bell->redis, command, ARRAY_SIZE(command), BLOCK_MS + bell->queue->settings.timeout_ms, on_token, bell);
}

static void on_up(void *arg)
{
	struct redis_bell *bell = arg;

	wait_for_token(bell);
	if (!bell->doubtful || !bell->wanted)
		return;
	bell->doubtful = false;
	bell->rung(bell->arg);
}

/* Said by the main connection, whose server it is. */
static void on_down(void *arg, const struct reply *why)
{
	struct redis_bell *bell = arg;

	(void)why;
	bell->doubtful = true;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	wait_for_token(arg);
}

struct redis_bell *redis_bell_new(struct redis_queue *queue, const char *list, void (*rung)(void *arg), void *arg)
{
	static const struct redis_handler handler = { on_up, on_down };
	struct redis_bell *bell = xcalloc(1, sizeof(*bell));

	*bell = (struct redis_bell){ .queue = queue, .list = xasprintf("%s%s", queue->prefix, list), .rung = rung, .arg = arg };
	bell->again = event_new(queue->storage.context.base, -1, 0, on_again, bell);
	if (!bell->again)
		BUG("no event for a timer");
	bell->redis = redis_new(queue->storage.context.base, queue->resolver, &queue->settings, &handler, bell);
	return bell;
}

void redis_bell_free(struct redis_bell *bell)
{
	if (!bell)
		return;
	bell->closing = true;
	redis_free(bell->redis);
	event_free(bell->again);
	free(bell->list);
	free(bell);
}

bool redis_bell_waits(const struct redis_bell *bell)
{
	return bell->waiting;
}

void redis_bell_wait(struct redis_bell *bell)
{
	bell->wanted = true;
	wait_for_token(bell);
}
