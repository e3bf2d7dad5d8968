/* redis_wire.c - one connection to redis, from its descriptor to its end
 * SPDX-License-Identifier: MIT */
#include "common/net/redis_wire.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/net/stream.h"
#include "common/net/tls.h"

#define IDLE_MS 3600000		/* the stream's own time-out says nothing here: commands have theirs */
#define PATIENCE 10		/* times the time-out of a command, while octets pass */
#define COMMAND_MAX (UINT64_C(1) << 30)	/* the formatter counts in an int */
#define FEW 64			/* arguments of most commands */
#define PART_MAX (UINT64_C(512) << 20)	/* redis' proto-max-bulk-len */

struct pending {
	struct pending *next;
	redis_done_fn *done;
	void *arg;
	uint64_t end;			/* of its octets, among all that were ever sent */
	int64_t sent_ms, timeout_ms;
	bool refused;			/* never appended: too large */
};

struct redis_wire {
	struct stream stream;
	struct redisReader *reader;
	redisReplyObjectFunctions functions, *own;	/* hiredis' own, and those but for one */
	struct pending *first, **last;
	struct event *timer, *refusal;
	char *name, *what;		/* `what` ended it; NULL: the stream knows */
	int64_t timeout_ms, timer_ms, moved_ms;
	uint64_t appended, reply_octets;
	size_t elements;		/* of the reply being read */
	bool busy, dead;		/* dead: its owner let go, memory goes with the last callback */
	redis_broken_fn *broken;
	void *arg;
};

static void free_wire(struct redis_wire *w)
{
	stream_release(&w->stream);
	event_free(w->timer);
	event_free(w->refusal);
	redisReaderFree(w->reader);
	free(w->name);
	free(w->what);
	free(w);
}

static struct pending *take_first(struct redis_wire *w)
{
	struct pending *p = w->first;

	w->first = p->next;
	if (!w->first)
		w->last = &w->first;
	return p;
}

/* --- the end --- */

static void fail(struct pending *p, const struct redis_wire *w, const char *what)
{
	struct reply why = { 0 };

	if (p->refused)
		reply_set(&why, 552, "5.3.4", "too large for redis");
	else if (w->stream.sent >= p->end)
		reply_set(&why, 451, "4.4.2", "%s: %s; the outcome is not known", w->name, what);
	else
		reply_set(&why, 451, "4.3.0", "%s: %s", w->name, what);
	p->done(p->arg, NULL, &why);
	reply_release(&why);
	free(p);
}

static void fail_all(struct redis_wire *w, const char *what)
{
	while (w->first)
		fail(take_first(w), w, what);
}

static void on_closed(void *arg, int error)
{
	struct redis_wire *w = arg;
	const char *problem = tls_problem(&w->stream);
	struct reply why = { 0 };

	if (!w->what)
		w->what = xstrdup(problem ? problem : error ? strerror(error) : "it closed the connection");
	w->busy = true;
	fail_all(w, w->what);
	if (!w->dead) {
		reply_set(&why, 451, "4.3.0", "%s: %s", w->name, w->what);
		w->dead = true;
		w->broken(w->arg, &why);
		reply_release(&why);
	}
	free_wire(w);
}

void redis_wire_break(struct redis_wire *w, const char *text)
{
	if (!w->what)
		w->what = xstrdup(text);
	stream_abort(&w->stream, 0);
}

void redis_wire_free(struct redis_wire *w)
{
	bool within = w && w->busy;

	if (!w || w->dead)
		return;
	w->dead = true;
	w->busy = true;
	fail_all(w, "the connection was given up");
	w->busy = within;
	if (within)
		stream_abort(&w->stream, 0);
	else
		free_wire(w);
}

/* --- replies --- */

/* hiredis takes a peer's word for how many elements follow, and allocates. */
static void *create_array(const redisReadTask *task, int elements)
{
	struct redis_wire *w = task->privdata;

	w->elements += elements > 0 ? (size_t)elements : 0;
	return w->elements > REDIS_REPLY_ELEMENTS ? NULL : w->own->createArray(task, elements);
}

static void fail_refused(struct redis_wire *w)
{
	while (w->first && w->first->refused)
		fail(take_first(w), w, "");
}

/* Who is not wanted hears so in an error before anything was sent. */
static void deliver(struct redis_wire *w, redisReply *reply)
{
	struct pending *p;

	w->reply_octets = 0;
	w->elements = 0;
	fail_refused(w);
	if (w->first && w->first->end <= w->stream.sent) {
		p = take_first(w);
		p->done(p->arg, reply, NULL);
		free(p);
		fail_refused(w);
	} else if (!w->dead) {
		redis_wire_break(w, reply->type == REDIS_REPLY_ERROR ? reply->str : "a reply that nobody asked for");
	}
	freeReplyObject(reply);
}

static size_t on_input(void *arg, const char *data, size_t size)
{
	struct redis_wire *w = arg;
	void *reply = NULL;

	if (w->dead || w->what)
		return size;
	w->moved_ms = clock_boot_ms();
	w->reply_octets += size;
	w->busy = true;
	if (redisReaderFeed(w->reader, data, size) != REDIS_OK)
		redis_wire_break(w, w->reader->errstr);
	while (!w->dead && !w->what) {
		if (redisReaderGetReply(w->reader, &reply) != REDIS_OK)
			redis_wire_break(w, w->elements > REDIS_REPLY_ELEMENTS ? "a reply of too many elements" :
				w->reader->errstr);
		else if (!reply)
			break;
		else
			deliver(w, reply);
	}
	if (w->reply_octets > REDIS_REPLY_OCTETS)
		redis_wire_break(w, "a reply that is too large");
	w->busy = false;
	return size;
}

static void on_ended(void *arg)
{
	struct redis_wire *w = arg;

	redis_wire_break(w, "it closed the connection");
}

static void on_silent(void *arg)
{
	(void)arg;
}

static const struct stream_handler handler = {
	.input = on_input, .ended = on_ended, .timed_out = on_silent, .closed = on_closed,
};

/* --- time --- */

static int64_t due_of(const struct redis_wire *w, const struct pending *p)
{
	int64_t since = w->moved_ms > p->sent_ms ? w->moved_ms : p->sent_ms;
	int64_t due = since + p->timeout_ms, last = p->sent_ms + PATIENCE * p->timeout_ms;

	return p->timeout_ms < 0 ? INT64_MAX : due < last ? due : last;
}

static void arm(struct redis_wire *w, int64_t due_ms)
{
	int64_t left = due_ms - clock_boot_ms();
	struct timeval timeout;

	if (due_ms >= w->timer_ms)
		return;
	w->timer_ms = due_ms;
	left = left > 0 ? left : 0;
	timeout = (struct timeval){ left / 1000, left % 1000 * 1000 };
	event_add(w->timer, &timeout);
}

/* The timer is not moved with every reply: it looks, when it is due, when it should have been. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis_wire *w = arg;
	const struct pending *soonest = NULL;
	char text[96];

	(void)fd;
	(void)what;
	w->timer_ms = INT64_MAX;
	if (w->stream.sent_ms > w->moved_ms)
		w->moved_ms = w->stream.sent_ms;
	for (const struct pending *p = w->first; p; p = p->next) {
		if (!soonest || due_of(w, p) < due_of(w, soonest))
			soonest = p;
	}
	if (!soonest || soonest->timeout_ms < 0)
		return;
	if (due_of(w, soonest) > clock_boot_ms()) {
		arm(w, due_of(w, soonest));
		return;
	}
	snprintf(text, sizeof(text), "no answer within %g s%s", (double)soonest->timeout_ms / 1000,
		tls_is_shaking_hands(&w->stream) ? "; is this a port for TLS?" : "");
	redis_wire_break(w, text);
}

/* --- commands --- */

static void on_refusal(evutil_socket_t fd, short what, void *arg)
{
	struct redis_wire *w = arg;

	(void)fd;
	(void)what;
	w->busy = true;
	fail_refused(w);
	w->busy = false;
	if (w->dead)
		free_wire(w);
}

static bool fits(const struct redis_part *parts, size_t count)
{
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		if (parts[i].size > PART_MAX)
			return false;
		total += parts[i].size + 32;
	}
	return total <= COMMAND_MAX;
}

static void append(struct redis_wire *w, const struct redis_part *parts, size_t count)
{
	const char *few[FEW], **data = count > FEW ? xcalloc(count, sizeof(*data)) : few;
	size_t few_sizes[FEW], *sizes = count > FEW ? xcalloc(count, sizeof(*sizes)) : few_sizes;
	char *command = NULL;
	int size;

	for (size_t i = 0; i < count; i++) {
		data[i] = parts[i].size ? parts[i].data : "";
		sizes[i] = parts[i].size;
	}
	size = redisFormatCommandArgv(&command, (int)count, data, sizes);
	if (size < 0)
		BUG("no memory for a command");
	buffer_append(&w->stream.out, command, (size_t)size);
	w->appended += (uint64_t)size;
	redisFreeCommand(command);
	if (data != few) {
		free(data);
		free(sizes);
	}
}

void redis_wire_send(struct redis_wire *w, const struct redis_part *parts, size_t count, int64_t timeout_ms,
	redis_done_fn *done, void *arg)
{
	struct pending *p = xcalloc(1, sizeof(*p));

	p->done = done;
	p->arg = arg;
	p->sent_ms = clock_boot_ms();
	p->timeout_ms = timeout_ms ? timeout_ms : w->timeout_ms;
	p->refused = !fits(parts, count);
	*w->last = p;
	w->last = &p->next;
	if (p->refused) {
		event_active(w->refusal, EV_TIMEOUT, 0);
		return;
	}
	append(w, parts, count);
	p->end = w->appended;
	if (p->timeout_ms > 0)
		arm(w, p->sent_ms + p->timeout_ms);
	stream_touch(&w->stream);
}

/* A command that blocks has no time-out: the kernel finds out whether the other host is there still. Unix sockets know. */
static void watch_peer(int fd, int64_t timeout_ms)
{
	int on = 1, third = timeout_ms < 6000 ? 1 : (int)(timeout_ms / 6000), idle = third * 3, times = 3;
	unsigned unacknowledged_ms = (unsigned)timeout_ms;

	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &third, sizeof(third));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
}

void redis_wire_start_tls(struct redis_wire *w, const struct tls_context *context, const char *host)
{
	tls_start_client(&w->stream, context, host);
}

struct redis_wire *redis_wire_new(struct event_base *base, int fd, const char *name, int64_t timeout_ms,
	redis_broken_fn *broken, void *arg)
{
	struct redis_wire *w = xcalloc(1, sizeof(*w));

	w->last = &w->first;
	w->name = xstrdup(name);
	w->timeout_ms = timeout_ms;
	w->timer_ms = INT64_MAX;
	w->broken = broken;
	w->arg = arg;
	w->timer = event_new(base, -1, 0, on_timer, w);
	w->refusal = event_new(base, -1, 0, on_refusal, w);
	w->reader = redisReaderCreate();
	if (!w->timer || !w->refusal || !w->reader)
		BUG("no memory for a connection");
	w->own = w->reader->fn;
	w->functions = *w->own;
	w->functions.createArray = create_array;
	w->reader->fn = &w->functions;
	w->reader->privdata = w;
	watch_peer(fd, timeout_ms);
	stream_open(&w->stream, base, fd, IDLE_MS, &handler, w);
	w->stream.hear_out = true;
	return w;
}
