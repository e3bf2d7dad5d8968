/* suspended.c - which destinations are suspended, as a worker knows it
 * SPDX-License-Identifier: MIT */
#include "worker/suspended.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define LOOK_MS 2000
#define SAME_MS 1000		/* ends that differ by less are the same: they are told as what is left */

struct suspended {
	struct queue *queue;
	struct suspensions known;
	int64_t looked_boot_ms;		/* before it was asked */
	bool looking, failed, stopped;
	struct event *timer;
	void (*done)(void *arg);
	void *arg;
};

/* ---- what has changed */

static void say(const struct suspended *suspended, const char *event, const struct suspension *one)
{
	char since[CLOCK_ISO8601_SIZE];
	struct log_field fields[] = {
		LOG_TEXT("domain", one->domain),
		LOG_TEXT("queue", queue_name(suspended->queue)),
		LOG_TEXT("by", one->by),
		LOG_TEXT("since", one->since_ms ? clock_iso8601(since, one->since_ms) : NULL),
		LOG_TEXT("reason", one->reason),
		LOG_INT("for_ms", one->until_boot_ms - clock_boot_ms()),
		{ 0 },
	};

	if (one->until_boot_ms == INT64_MAX || one->until_boot_ms <= clock_boot_ms())
		fields[5].key = NULL;
	if (log_wants(LOG_LEVEL_INFO, "worker"))
		log_write(LOG_LEVEL_INFO, "worker", event, fields);
}

static bool is_text_same(const char *one, const char *other)
{
	return strcmp(one ? one : "", other ? other : "") == 0;
}

/* Not before: its end, which is told as what is left of it, may be a little off. */
static bool ends_earlier(const struct suspension *now, const struct suspension *before)
{
	return now->until_boot_ms < INT64_MAX && now->until_boot_ms + SAME_MS < before->until_boot_ms;
}

static bool ends_later(const struct suspension *now, const struct suspension *before)
{
	return before->until_boot_ms < INT64_MAX && before->until_boot_ms + SAME_MS < now->until_boot_ms;
}

static void compare_one(const struct suspended *suspended, const struct suspension *now, const struct suspension *before)
{
	if (!before || now->since_ms != before->since_ms || ends_earlier(now, before) || ends_later(now, before) ||
			!is_text_same(now->by, before->by) || !is_text_same(now->reason, before->reason))
		say(suspended, "destination suspended", now);
	if (before && ends_earlier(now, before))
		queue_recall(suspended->queue, before->group);
}

static void take_over(struct suspended *suspended, struct suspensions *now)
{
	struct suspensions before = suspended->known;

	suspended->known = *now;
	for (size_t i = 0; i < now->count; i++)
		compare_one(suspended, &now->items[i], suspensions_get(&before, now->items[i].domain));
	for (size_t i = 0; i < before.count; i++) {
		if (suspensions_get(now, before.items[i].domain))
			continue;
		say(suspended, "destination no longer suspended", &before.items[i]);
		queue_recall(suspended->queue, before.items[i].group);
	}
	suspensions_release(&before);
}

/* ---- looking */

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	struct suspended *suspended = arg;
	void (*done)(void *) = suspended->done;
	struct suspensions now;

	suspended->looking = false;
	suspended->done = NULL;
	if (suspended->stopped)
		return;
	if (!why) {
		suspensions_read(&now, settings, count);
		take_over(suspended, &now);
	} else if (!suspended->failed && why->code != 502) {
		log_warn("worker", "could not ask which destinations are suspended, what was known holds",
			LOG_TEXT("queue", queue_name(suspended->queue)), LOG_TEXT("reply", why->text));
	}
	suspended->failed = why != NULL;
	if (suspended->known.count)
		event_add(suspended->timer, &(struct timeval){ .tv_sec = LOOK_MS / 1000 });
	if (done)
		done(suspended->arg);
}

static void look(struct suspended *suspended)
{
	if (suspended->looking)
		return;
	suspended->looking = true;
	suspended->looked_boot_ms = clock_boot_ms();
	event_del(suspended->timer);
	queue_settings(suspended->queue, on_settings, suspended);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

struct suspended *suspended_new(struct event_base *base, struct queue *queue)
{
	struct suspended *suspended = xcalloc(1, sizeof(*suspended));

	suspended->queue = queue;
	suspended->timer = event_new(base, -1, 0, on_timer, suspended);
	if (!suspended->timer)
		BUG("no event for a timer");
	suspended->looked_boot_ms = -LOOK_MS;
	return suspended;
}

bool suspended_is_fresh(const struct suspended *suspended)
{
	return !suspended || (!suspended->looking && clock_boot_ms() - suspended->looked_boot_ms < LOOK_MS);
}

void suspended_look(struct suspended *suspended, void (*done)(void *arg), void *arg)
{
	if (suspended->done)
		BUG("a second look");
	suspended->done = done;
	suspended->arg = arg;
	look(suspended);
}

const struct suspension *suspended_find(const struct suspended *suspended, const char *address)
{
	return suspended ? suspensions_find(&suspended->known, address) : NULL;
}

void suspended_stop(struct suspended *suspended)
{
	if (!suspended)
		return;
	suspended->stopped = true;
	event_del(suspended->timer);
}

void suspended_free(struct suspended *suspended)
{
	if (!suspended)
		return;
	event_free(suspended->timer);
	suspensions_release(&suspended->known);
	free(suspended);
}
