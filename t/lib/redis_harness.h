/* redis_harness.h - connections to redis under test, and what they told
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_REDIS_HARNESS_H
#define SLIMTA_T_REDIS_HARNESS_H

#include "t/lib/redis_server.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "common/net/redis.h"

static struct event_base *base;
static struct redis_server server;
static struct resolver *resolver;	/* NULL: for addresses alone */
static char loopback[] = "127.0.0.1";

struct link {
	struct redis *redis;
	struct redis_settings settings;
	unsigned ups, downs;
	struct reply why;		/* of the last `down` */
	struct buffer answers;		/* of commands, one a line: the answer, or "!" and the reply */
	unsigned answered;
};

/* Borrowed until the next call. */
__attribute__((unused, format(printf, 1, 2))) static const char *xasprintf_once(const char *format, ...)
{
	static char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

__attribute__((unused)) static void turn(void)
{
	struct timeval patience = { 20, 0 };
	struct event *guard = evtimer_new(base, (event_callback_fn)abort, NULL);

	evtimer_add(guard, &patience);		/* so that no test hangs */
	event_base_loop(base, EVLOOP_ONCE);
	event_free(guard);
}

/* A turn of at most so long. */
__attribute__((unused)) static void turn_for(int64_t ms)
{
	struct timeval most = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(base, &most);
	event_base_loop(base, EVLOOP_ONCE);
}

static void on_up(void *arg)
{
	struct link *l = arg;

	l->ups++;
}

static void on_down(void *arg, const struct reply *why)
{
	struct link *l = arg;

	l->downs++;
	reply_copy(&l->why, why);
}

static const struct redis_handler link_handler = { on_up, on_down };

/* With l->settings. */
static void start_link(struct link *l)
{
	l->redis = redis_new(base, resolver, &l->settings, &link_handler, l);
}

__attribute__((unused)) static void open_link_to(struct link *l, const char *host, unsigned port)
{
	*l = (struct link){ .settings = { .host = (char *)host, .port = port, .timeout_ms = 10000 } };
	start_link(l);
}

__attribute__((unused)) static void open_link(struct link *l, const struct redis_server *to)
{
	open_link_to(l, loopback, to->port);
}

__attribute__((unused)) static void close_link(struct link *l)
{
	redis_free(l->redis);
	l->redis = NULL;
	l->ups = l->downs = l->answered = 0;
	reply_release(&l->why);
	buffer_release(&l->answers);
}

#define LINK_PATIENCE_MS 60000

__attribute__((unused)) static void wait_up(struct link *l, unsigned times)
{
	int64_t until_ms = clock_boot_ms() + LINK_PATIENCE_MS;

	while (l->ups < times) {
		turn();
		if (clock_boot_ms() > until_ms)
			BUG("not up: %s", l->why.text);
	}
}

__attribute__((unused)) static void wait_down(struct link *l, unsigned times)
{
	while (l->downs < times)
		turn();
}

static void append_reply(struct buffer *out, const struct redisReply *reply)
{
	switch (reply->type) {
	case REDIS_REPLY_INTEGER:
		buffer_append_int(out, reply->integer);
		break;
	case REDIS_REPLY_NIL:
		buffer_append_str(out, "(nil)");
		break;
	case REDIS_REPLY_ARRAY:
		buffer_append_char(out, '[');
		for (size_t i = 0; i < reply->elements; i++) {
			buffer_append_str(out, i ? " " : "");
			append_reply(out, reply->element[i]);
		}
		buffer_append_char(out, ']');
		break;
	default:
		buffer_append_str(out, reply->type == REDIS_REPLY_ERROR ? "-" : "");
		buffer_append(out, reply->str, reply->len);
	}
}

static void on_answer(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct link *l = arg;

	if (l->answered++)
		buffer_append_char(&l->answers, '\n');
	if (!reply == !why)
		BUG("a reply and a reason, or neither");
	if (reply) {
		append_reply(&l->answers, reply);
	} else {
		buffer_append_char(&l->answers, '!');
		reply_append(why, &l->answers);
	}
}

/* Arguments are texts, the last one NULL. */
__attribute__((unused, sentinel)) static void say(struct link *l, int64_t timeout_ms, ...)
{
	struct redis_part parts[16];
	size_t count = 0;
	const char *text;
	va_list args;

	va_start(args, timeout_ms);
	while ((text = va_arg(args, const char *)))
		parts[count++] = (struct redis_part){ text, strlen(text) };
	va_end(args);
	redis_send(l->redis, parts, count, timeout_ms, on_answer, l);
}

/* What has been answered, once `count` were; forgets it. Borrowed until the next call. */
__attribute__((unused)) static const char *answers(struct link *l, unsigned count)
{
	static char *last;

	while (l->answered < count)
		turn();
	free(last);
	last = xstrdup(buffer_str(&l->answers));
	buffer_reset(&l->answers);
	l->answered = 0;
	return last;
}

/* `statuses`: the enhanced status of each, in order. */
__attribute__((unused)) static bool like_lines(const char *lines, const char *statuses, const char *what)
{
	struct buffer got = { 0 };
	bool good;

	for (const char *line = lines; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		buffer_appendf(&got, "%s%.5s", got.size ? " " : "", strlen(line) > 5 ? line + 5 : line);
	good = is_str(buffer_str(&got), statuses, what);
	buffer_release(&got);
	return good;
}

/* Sends one command of up to three words and waits for its answer. */
__attribute__((unused)) static const char *ask(struct link *l, const char *one, const char *two, const char *three)
{
	say(l, 0, one, two, three, NULL);
	return answers(l, 1);
}

__attribute__((unused)) static void harness_begin(const char *conf)
{
	base = event_base_new();
	if (!base)
		BUG("no event base");
	redis_server_start(&server, conf);
}

__attribute__((unused)) static void harness_end(void)
{
	redis_server_stop(&server);
	event_base_free(base);
}

#endif
