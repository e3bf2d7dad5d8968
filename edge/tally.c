/* tally.c - a warning that a flood repeats
 * SPDX-License-Identifier: MIT */
#include "edge/tally.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"

#define QUIET_S 10
#define OF_SIZE 64

struct tally {
	const char *event, *more, *key, *of_key;
	struct event *timer;		/* pending: a line was written less than QUIET_S ago */
	uint64_t count;			/* since that line */
	/* The last one of them. */
	const char *edge, *why;
	size_t connections;
	char of[OF_SIZE];
};

static void rest(struct tally *tally)
{
	event_add(tally->timer, &(struct timeval){ QUIET_S, 0 });
}

void tally_flush(struct tally *tally)
{
	if (!tally || !tally->count)
		return;
	log_warn("edge", tally->more, LOG_INT("count", tally->count), LOG_TEXT("edge", tally->edge),
		LOG_TEXT(tally->key, tally->why), LOG_INT("connections", tally->connections),
		LOG_TEXT("last", tally->of[0] ? tally->of : NULL));
	tally->count = 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tally *tally = arg;

	(void)fd;
	(void)what;
	if (!tally->count)
		return;
	tally_flush(tally);
	rest(tally);
}

struct tally *tally_new(struct event_base *base, const char *event, const char *more, const char *key)
{
	struct tally *tally = xcalloc(1, sizeof(*tally));

	tally->event = event;
	tally->more = more;
	tally->key = key;
	tally->of_key = "client";
	tally->timer = evtimer_new(base, on_timer, tally);
	if (!tally->timer)
		BUG("no timer event");
	return tally;
}

void tally_set_of(struct tally *tally, const char *key)
{
	tally->of_key = key;
}

void tally_add(struct tally *tally, const char *edge, const char *why, size_t connections)
{
	tally_add_of(tally, edge, why, connections, NULL);
}

void tally_add_of(struct tally *tally, const char *edge, const char *why, size_t connections, const char *of)
{
	tally->edge = edge;
	tally->why = why;
	tally->connections = connections;
	snprintf(tally->of, sizeof(tally->of), "%s", of ? of : "");
	if (evtimer_pending(tally->timer, NULL)) {
		tally->count++;
		return;
	}
	log_warn("edge", tally->event, LOG_TEXT("edge", edge), LOG_TEXT(tally->key, why),
		LOG_INT("connections", connections), LOG_TEXT(tally->of_key, of));
	rest(tally);
}

void tally_free(struct tally *tally)
{
	if (!tally)
		return;
	event_free(tally->timer);
	free(tally);
}
