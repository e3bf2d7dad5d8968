/* redis.c - a connection to redis, which comes back by itself
 * SPDX-License-Identifier: MIT
 * An attempt: the sentinels if there are any, the host, TLS, then AUTH, SELECT, ROLE and PING in one flight. */
#include "common/net/redis.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/net/dial.h"
#include "common/net/redis_finder.h"
#include "common/net/redis_wire.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define MOVE_MS 1000	/* sooner, nodes that send us to and fro are an outage */
#define FOUND_PATIENCE_MS 3000	/* with a master that sentinels named: by then they may name another */

struct refused {
	struct refused *next;
	redis_done_fn *done;
	void *arg;
	struct reply why;
};

struct redis {
	struct event_base *base;
	struct resolver *resolver;
	const struct redis_settings *settings;
	const struct redis_handler *handler;
	void *arg;
	struct event *retry, *refusal;
	int64_t backoff_ms;
	struct tls_context *tls;	/* NULL: in clear, or not to be had yet */
	struct redis_finder *finder;	/* NULL: there are no sentinels */
	struct dial *dial;
	struct redis_wire *wire;	/* while one is made, and once it is up */
	char *moved;			/* where a cluster sent us; NULL: nowhere */
	unsigned moved_port;
	int64_t moved_ms;
	bool moving;			/* it is on its way there: no outage */
	char *host, *name;		/* where the attempt goes; "redis at HOST:PORT" */
	bool up;
	bool told;			/* `down` was called since it was up */
	struct reply why;		/* of the last attempt; none at first */
	struct refused *first, **last;
	unsigned depth;			/* callbacks of ours on the stack */
	bool freed;
};

static void enter(struct redis *r)
{
	r->depth++;
}

static void leave(struct redis *r)
{
	if (--r->depth == 0 && r->freed)
		free(r);
}

/* --- commands while it is not up --- */

static void refuse_all(struct redis *r)
{
	struct refused *refused;

	while ((refused = r->first)) {
		r->first = refused->next;
		if (!r->first)
			r->last = &r->first;
		refused->done(refused->arg, NULL, &refused->why);
		reply_release(&refused->why);
		free(refused);
	}
}

static void on_refusal(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;

	(void)fd;
	(void)what;
	enter(r);
	refuse_all(r);
	leave(r);
}

static void refuse(struct redis *r, redis_done_fn *done, void *arg)
{
	struct refused *refused = xcalloc(1, sizeof(*refused));

	refused->done = done;
	refused->arg = arg;
	if (reply_is_none(&r->why))
		reply_set(&refused->why, 451, "4.3.0", "%s: not connected yet", r->name);
	else
		reply_copy(&refused->why, &r->why);
	*r->last = refused;
	r->last = &refused->next;
	event_active(r->refusal, EV_TIMEOUT, 0);
}

/* --- attempts --- */

/* Between half of it and all, so that those who lost it together do not come back together. */
static void wait_and_retry(struct redis *r)
{
	uint32_t random = 0;
	int64_t wait_ms;
	struct timeval timeout;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)(uintptr_t)r;
	wait_ms = r->backoff_ms / 2 + (int64_t)(random % (uint32_t)(r->backoff_ms / 2 + 1));
	r->backoff_ms = r->backoff_ms * 2 < BACKOFF_MAX_MS ? r->backoff_ms * 2 : BACKOFF_MAX_MS;
	timeout = (struct timeval){ wait_ms / 1000, wait_ms % 1000 * 1000 };
	event_add(r->retry, &timeout);
}

static void tell_down(struct redis *r)
{
	r->up = false;
	if (r->told)
		return;
	r->told = true;
	r->handler->down(r->arg, &r->why);
}

/* The wire is gone, or never was. */
static void lose(struct redis *r, const struct reply *why)
{
	if (!r->up)
		xstrset(&r->moved, NULL);
	if (r->moving) {
		r->moving = r->up = false;
		event_active(r->retry, EV_TIMEOUT, 0);
		return;
	}
	reply_copy(&r->why, why);
	wait_and_retry(r);
	tell_down(r);
}

static void on_broken(void *arg, const struct reply *why)
{
	struct redis *r = arg;

	enter(r);
	r->wire = NULL;
	lose(r, why);
	leave(r);
}

static void give_up_attempt(struct redis *r, const char *text)
{
	struct reply why = { 0 };

	reply_set(&why, 451, "4.3.0", "%s: %s", r->name, text);
	redis_wire_free(r->wire);
	r->wire = NULL;
	lose(r, &why);
	reply_release(&why);
}

static void become_up(struct redis *r)
{
	r->up = true;
	r->told = false;
	r->backoff_ms = BACKOFF_MIN_MS;
	reply_release(&r->why);
	r->handler->up(r->arg);
}

/* A user that may not PING may do its work, and with a full disk it can be read and emptied still. */
static bool is_ready(const struct redisReply *reply)
{
	return reply->type != REDIS_REPLY_ERROR || text_has_prefix(reply->str, "NOPERM ") ||
		text_has_prefix(reply->str, "MISCONF ");
}

static void check(struct redis *r, const struct redisReply *reply, bool good)
{
	struct reply meaning = { 0 };

	if (good)
		return;
	redis_error_reply(reply, &meaning);
	give_up_attempt(r, text_has_prefix(meaning.text, "redis: ") ? meaning.text + 7 : meaning.text);
	reply_release(&meaning);
}

static void on_step(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis *r = arg;

	if (why || r->freed)
		return;
	enter(r);
	check(r, reply, reply->type != REDIS_REPLY_ERROR);
	leave(r);
}

static void on_ping(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis *r = arg;

	if (why || r->freed)
		return;
	enter(r);
	if (is_ready(reply))
		become_up(r);
	else
		check(r, reply, false);
	leave(r);
}

static void on_role(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis *r = arg;

	if (why || r->freed || (reply->type == REDIS_REPLY_ERROR && text_has_prefix(reply->str, "NOPERM ")))
		return;
	enter(r);
	if (reply->type == REDIS_REPLY_ERROR)
		check(r, reply, false);
	else if (reply->type != REDIS_REPLY_ARRAY || !reply->elements || reply->element[0]->type != REDIS_REPLY_STRING ||
			strcmp(reply->element[0]->str, "master") != 0)
		give_up_attempt(r, "it is no master; the sentinels do not know yet");
	leave(r);
}

static void greet(struct redis *r)
{
	const struct redis_settings *s = r->settings;
	struct redis_part parts[3];
	char db[REDIS_NUMBER_SIZE];
	size_t count = 0;

	if (s->password) {
		parts[count++] = redis_text_part("AUTH");
		if (s->username)
			parts[count++] = redis_text_part(s->username);
		parts[count++] = redis_text_part(s->password);
		redis_wire_send(r->wire, parts, count, 0, on_step, r);
	}
	if (s->db) {
		parts[0] = redis_text_part("SELECT");
		parts[1] = redis_text_part(redis_number_text(db, s->db));
		redis_wire_send(r->wire, parts, 2, 0, on_step, r);
	}
	if (r->finder) {
		parts[0] = redis_text_part("ROLE");
		redis_wire_send(r->wire, parts, 1, 0, on_role, r);
	}
	parts[0] = redis_text_part("PING");
	redis_wire_send(r->wire, parts, 1, 0, on_ping, r);
}

static void on_dialled(void *arg, int fd, const char *error)
{
	struct redis *r = arg;

	enter(r);
	r->dial = NULL;
	if (fd < 0) {
		give_up_attempt(r, error);
	} else {
		r->wire = redis_wire_new(r->base, fd, r->name, r->settings->timeout_ms, on_broken, r);
		if (r->tls)
			redis_wire_start_tls(r->wire, r->tls, r->host);
		greet(r);
	}
	leave(r);
}

static void dial(struct redis *r, const char *host, unsigned port)
{
	int64_t timeout_ms = r->settings->timeout_ms;

	xstrset(&r->host, host);
	free(r->name);
	r->name = dial_name("redis", host, port);
	if (r->finder && timeout_ms > FOUND_PATIENCE_MS)
		timeout_ms = FOUND_PATIENCE_MS;
	r->dial = dial_start(r->base, r->resolver, host, port, timeout_ms, on_dialled, r);
}

static void on_found(void *arg, const char *host, unsigned port, const struct reply *why)
{
	struct redis *r = arg;

	enter(r);
	if (why)
		lose(r, why);
	else
		dial(r, host, port);
	leave(r);
}

/* Files of TLS may be back when they are looked for again. */
static bool prepare_tls(struct redis *r)
{
	struct tls_error error = { 0 };

	if (r->tls || !r->settings->tls.given)
		return true;
	r->tls = tls_client_context_new(&r->settings->tls, &error);
	if (!r->tls)
		give_up_attempt(r, error.text);
	free(error.text);
	return r->tls;
}

static void attempt(struct redis *r)
{
	const struct redis_settings *s = r->settings;

	if (!prepare_tls(r))
		return;
	if (r->finder)
		redis_finder_start(r->finder, r->tls);
	else if (r->moved)
		dial(r, r->moved, r->moved_port);
	else
		dial(r, s->socket ? s->socket : s->host, s->port);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;

	(void)fd;
	(void)what;
	enter(r);
	attempt(r);
	leave(r);
}

/* --- what the owner calls --- */

void redis_send(struct redis *r, const struct redis_part *parts, size_t count, int64_t timeout_ms, redis_done_fn *done,
	void *arg)
{
	if (r->up)
		redis_wire_send(r->wire, parts, count, timeout_ms, done, arg);
	else
		refuse(r, done, arg);
}

bool redis_is_up(const struct redis *r)
{
	return r->up;
}

void redis_reconnect(struct redis *r)
{
	if (r->up)
		redis_wire_break(r->wire, "given up, to find the master anew");
}

/* "MOVED 3999 192.0.2.1:6381": behind the last colon is the port; no host is the one that says so. */
static bool take_moved(struct redis *r, const struct redisReply *error)
{
	const char *address = strchr(error->str + strlen("MOVED "), ' '), *colon = address ? strrchr(address, ':') : NULL;
	uint64_t port = 0;
	char *host;

	if (!colon || r->finder || r->settings->socket || !parse_u64(colon + 1, strlen(colon + 1), 65535, &port) || !port)
		return false;
	host = colon == address + 1 ? xstrdup(r->host) : xstrndup(address + 1, (size_t)(colon - address - 1));
	if (host[0] == '/' || strcmp(host, "?") == 0) {
		free(host);
		return false;
	}
	free(r->moved);
	r->moved = host;
	r->moved_port = (unsigned)port;
	r->moving = clock_boot_ms() - r->moved_ms > MOVE_MS;
	r->moved_ms = clock_boot_ms();
	return true;
}

bool redis_follow(struct redis *r, const struct redisReply *error)
{
	if (!r->up || r->freed)
		return false;
	if (text_has_prefix(error->str, "READONLY "))
		redis_reconnect(r);
	else if (text_has_prefix(error->str, "MOVED ") && take_moved(r, error))
		redis_wire_break(r->wire, "given up, for the node of the cluster that it names");
	else
		return false;
	return true;
}

struct redis *redis_new(struct event_base *base, struct resolver *resolver, const struct redis_settings *settings,
	const struct redis_handler *handler, void *arg)
{
	struct redis *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->resolver = resolver;
	r->settings = settings;
	r->handler = handler;
	r->arg = arg;
	r->last = &r->first;
	r->backoff_ms = BACKOFF_MIN_MS;
	r->retry = event_new(base, -1, 0, on_retry, r);
	r->refusal = event_new(base, -1, 0, on_refusal, r);
	if (!r->retry || !r->refusal)
		BUG("no events for redis");
	r->name = xstrdup("redis");
	if (settings->sentinels.count)
		r->finder = redis_finder_new(base, resolver, settings, on_found, r);
	event_active(r->retry, EV_TIMEOUT, 0);
	return r;
}

void redis_free(struct redis *r)
{
	if (!r || r->freed)
		return;
	enter(r);
	r->freed = true;
	r->up = false;
	redis_wire_free(r->wire);
	refuse_all(r);
	dial_cancel(r->dial);
	redis_finder_free(r->finder);
	tls_context_free(r->tls);
	event_free(r->retry);
	event_free(r->refusal);
	reply_release(&r->why);
	free(r->moved);
	free(r->host);
	free(r->name);
	leave(r);
}
