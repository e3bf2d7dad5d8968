/* redis_open.c - what the server of a redis queue has to promise, asked whenever there is a new connection
 * SPDX-License-Identifier: MIT
 * INFO and CONFIG may be denied to our user: then it is said what nobody could look at. HELLO is denied to nobody. */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/redis_checks.h"

#define AGAIN_SOON_MS 500		/* it reads its data, or is a replica still */
#define AGAIN_LATER_MS 10000		/* somebody has to change something */

enum question { ASK_HELLO, ASK_INFO, ASK_APPENDFSYNC, ASK_BULK, ASK_QUERY, ASK_COUNT, QUESTIONS };

struct redis_checks {
	struct redis_queue *queue;
	storage_done_fn *opened;	/* NULL: told */
	void *arg;
	struct event *again;
	unsigned pending;
	bool broken;			/* an answer did not come: there is no connection any more */
	bool reconnect;			/* `again` is for another connection, not another look */
	struct redis_found found;
	bool away;			/* and that was said */
	char *said;			/* the last error or warning */
};

static void say_opened(struct redis_checks *checks, const struct reply *why)
{
	storage_done_fn *opened = checks->opened;

	checks->opened = NULL;
	if (opened)
		opened(checks->arg, why);
}

/* Once, and again when it is something else. */
static bool is_news(struct redis_checks *checks, const char *text)
{
	if (checks->said && strcmp(checks->said, text) == 0)
		return false;
	xstrset(&checks->said, text);
	return true;
}

static void again_in(struct redis_checks *checks, int64_t ms)
{
	event_add(checks->again, &(struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 });
}

/* ---- what it comes to */

static void be_usable(struct redis_checks *checks)
{
	struct redis_queue *queue = checks->queue;
	bool told = !checks->opened;

	queue->usable = true;
	if (checks->away)
		log_info("queue", "storage opened", LOG_TEXT("queue", queue->storage.context.queue));
	checks->away = false;
	if (!told)
		say_opened(checks, NULL);
	redis_work_up(queue);
}

static void be_refused(struct redis_checks *checks, const struct reply *why)
{
	struct redis_queue *queue = checks->queue;

	checks->away = true;
	if (checks->opened)
		xstrset(&checks->said, why->text);	/* who opens it says it */
	else if (is_news(checks, why->text))
		log_error("queue", "storage cannot be used", LOG_TEXT("queue", queue->storage.context.queue),
			LOG_TEXT("why", why->text));
	say_opened(checks, why);
}

/* What is found is news for operators of a service; who looks from outside has not asked for it. */
static void warn(struct redis_checks *checks)
{
	const struct redis_queue *queue = checks->queue;
	struct buffer text = { 0 };

	if (queue->storage.context.role == STORAGE_FOR_OPERATOR || queue->durability == REDIS_UNCHECKED)
		return;
	redis_found_warnings(&checks->found, &text);
	if (text.size && is_news(checks, buffer_str(&text)))
		log_warn("queue", "messages may be lost by redis", LOG_TEXT("queue", queue->storage.context.queue),
			LOG_TEXT("because", buffer_str(&text)));
	buffer_release(&text);
}

static void take_limits(struct redis_queue *queue, const struct redis_found *found)
{
	queue->bulk_max = found->bulk_max;
	queue->query_max = found->query_max;
	queue->room.messages = found->messages;
	queue->room.refused = 0;
	redis_scripts_flags(queue, found->major >= 7);
}

static void conclude(struct redis_checks *checks)
{
	struct redis_queue *queue = checks->queue;
	struct reply why = { 0 };

	if (checks->broken)
		return;
	redis_found_judge(&checks->found, queue, &why);
	checks->reconnect = checks->found.replica;
	if (reply_is_none(&why)) {
		take_limits(queue, &checks->found);
		warn(checks);
		be_usable(checks);
	} else {
		be_refused(checks, &why);
		again_in(checks, reply_is_permanent(&why) ? AGAIN_LATER_MS : AGAIN_SOON_MS);
	}
	reply_release(&why);
}

/* ---- asked */

static void take_answer(struct redis_checks *checks, enum question question, const struct redisReply *reply)
{
	static redis_found_fn *const take[QUESTIONS] = { redis_found_hello, redis_found_info, redis_found_appendfsync,
		redis_found_bulk, redis_found_query, redis_found_count };

	take[question](&checks->found, reply);
}

static void on_answer(struct redis_checks *checks, enum question question, const struct redisReply *reply)
{
	if (reply && !(reply->type == REDIS_REPLY_ERROR && redis_follow(checks->queue->redis, reply)))
		take_answer(checks, question, reply);
	else
		checks->broken = true;
	if (--checks->pending == 0)
		conclude(checks);
}

#define ON(question) \
	static void on_##question(void *arg, const struct redisReply *reply, const struct reply *why) \
	{ \
		(void)why; \
		on_answer(arg, question, reply); \
	}
ON(ASK_HELLO)
ON(ASK_INFO)
ON(ASK_APPENDFSYNC)
ON(ASK_BULK)
ON(ASK_QUERY)
ON(ASK_COUNT)

static void ask(struct redis_checks *checks, redis_done_fn *done, const char *const words[], size_t count)
{
	struct redis_part parts[3];

	for (size_t i = 0; i < count; i++)
		parts[i] = redis_text_part(words[i]);
	checks->pending++;
	redis_send(checks->queue->redis, parts, count, 0, done, checks);
}

static void look(struct redis_checks *checks)
{
	char *index = xasprintf("%sindex", checks->queue->prefix);

	redis_found_reset(&checks->found);
	checks->broken = false;
	ask(checks, on_ASK_HELLO, (const char *const[]){ "HELLO" }, 1);
	ask(checks, on_ASK_INFO, (const char *const[]){ "INFO" }, 1);
	ask(checks, on_ASK_APPENDFSYNC, (const char *const[]){ "CONFIG", "GET", "appendfsync" }, 3);
	ask(checks, on_ASK_BULK, (const char *const[]){ "CONFIG", "GET", "proto-max-bulk-len" }, 3);
	ask(checks, on_ASK_QUERY, (const char *const[]){ "CONFIG", "GET", "client-query-buffer-limit" }, 3);
	ask(checks, on_ASK_COUNT, (const char *const[]){ "ZCARD", index }, 2);
	free(index);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct redis_checks *checks = arg;

	(void)fd;
	(void)what;
	if (!redis_is_up(checks->queue->redis) || checks->pending)
		return;
	if (checks->reconnect)
		redis_reconnect(checks->queue->redis);
	else
		look(checks);
}

static void on_up(void *arg)
{
	struct redis_checks *checks = ((struct redis_queue *)arg)->checks;

	event_del(checks->again);
	look(checks);
}

static void on_down(void *arg, const struct reply *why)
{
	struct redis_queue *queue = arg;
	struct redis_checks *checks = queue->checks;

	queue->usable = false;
	event_del(checks->again);
	if (!checks->away && !checks->opened)
		log_error("queue", "storage away", LOG_TEXT("queue", queue->storage.context.queue), LOG_TEXT("why", why->text));
	checks->away = true;
	say_opened(checks, why);
}

void redis_checks_open(struct redis_queue *queue, storage_done_fn *opened, void *arg)
{
	static const struct redis_handler handler = { on_up, on_down };
	struct redis_checks *checks = queue->checks = xcalloc(1, sizeof(*checks));

	*checks = (struct redis_checks){ .queue = queue, .opened = opened, .arg = arg };
	checks->again = event_new(queue->storage.context.base, -1, 0, on_again, checks);
	if (!checks->again)
		BUG("no event");
	queue->redis = redis_new(queue->storage.context.base, queue->resolver, &queue->settings, &handler, queue);
}

void redis_checks_close(struct redis_queue *queue)
{
	struct redis_checks *checks = queue->checks;
	struct reply why = { 0 };

	queue->usable = false;
	redis_free(queue->redis);
	queue->redis = NULL;
	reply_set(&why, 451, "4.3.0", "it was closed before it was open");
	say_opened(checks, &why);
	reply_release(&why);
	event_free(checks->again);
	redis_found_reset(&checks->found);
	free(checks->said);
	free(checks);
	queue->checks = NULL;
}
