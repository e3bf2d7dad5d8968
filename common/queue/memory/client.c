/* client.c - the connection to the worker of a memory queue: requests sent one behind the other, answers matched
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/memory/serving.h"

#define RETRY_FIRST_MS 10
#define RETRY_LAST_MS 1000
#define OPENING_MS 3000			/* how long a worker may take to be there, before somebody is told */
#define GRACE_MS 2000			/* one that was there a moment ago is replaced just now */
#define SILENCE_MS 10000		/* how often it is looked for answers that do not come */
#define OUT_MAX 65536
#define FRESH_MS 1000			/* how old what was seen of its room may be before it is asked for */
#define STALE_MS 10000			/* and before it says nothing any more */
#define MESSAGE_OVERHEAD 1024

/* ---- calls */

void call_release(struct call *call)
{
	json_decref(call->line);
	buffer_release(&call->octets);
}

static void fail(struct call *call, bool unknown)
{
	struct reply why = { 0 };

	if (unknown)
		reply_set(&why, 451, "4.4.2", "The queue's worker did not answer, or went away");
	else
		reply_set(&why, 451, "4.3.0", "The queue's worker is not there");
	call->answered(call, NULL, NULL, &why);
	reply_release(&why);
}

static void fail_all(struct calls *calls, bool unknown)
{
	struct call *call;

	while ((call = TAILQ_FIRST(calls))) {
		TAILQ_REMOVE(calls, call, next);
		fail(call, unknown);
	}
}

static void fail_late(struct memory_client *client)
{
	int64_t patience_ms = client->persistent ? CLIENT_PATIENCE_MS : 0, now_ms = clock_boot_ms();
	struct call *call;

	while ((call = TAILQ_FIRST(&client->waiting)) && now_ms - call->asked_boot_ms >= patience_ms) {
		TAILQ_REMOVE(&client->waiting, call, next);
		fail(call, false);
	}
}

/* ---- sending */

static void begin_call(struct memory_client *client, struct call *call)
{
	json_t *line = json_copy(call->line);
	uint64_t bytes = call->bytes + call->octets.size;

	call->number = ++client->last_number;
	json_object_set_new(line, "number", json_integer((json_int_t)call->number));
	if (bytes)
		json_object_set_new(line, "bytes", json_integer((json_int_t)bytes));
	wire_append(&client->stream.out, line);
	buffer_append(&client->stream.out, call->octets.data, call->octets.size);
}

/* False: it has to wait for what it sends. */
static bool send_more(struct memory_client *client)
{
	struct call *call = client->sending;
	enum call_more more = call->more ? call->more(call, &client->stream.out) : CALL_END;

	if (more != CALL_END)
		return more == CALL_MORE;
	client->sending = NULL;
	if (reply_is_none(&client->early)) {
		call->sent_boot_ms = clock_boot_ms();
		TAILQ_INSERT_TAIL(&client->sent, call, next);
	} else {
		struct reply why = { 0 };

		reply_move(&why, &client->early);
		call->answered(call, NULL, NULL, &why);
		reply_release(&why);
	}
	return true;
}

static void pump(struct memory_client *client)
{
	bool more = true;

	while (more && client->connected && !client->moving && client->stream.out.size < OUT_MAX) {
		if (!client->sending && (client->sending = TAILQ_FIRST(&client->waiting))) {
			TAILQ_REMOVE(&client->waiting, client->sending, next);
			begin_call(client, client->sending);
		}
		more = client->sending && send_more(client);
	}
	if (client->connected)
		stream_touch(&client->stream);
}

void client_go_on(struct memory_client *client)
{
	pump(client);
}

static void try_again(struct memory_client *client, int64_t wait_ms)
{
	if (!event_pending(client->wake, EV_TIMEOUT, NULL))
		event_add(client->wake, &(struct timeval){ .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 });
}

void client_ask(struct memory_client *client, struct call *call)
{
	call->asked_boot_ms = clock_boot_ms();
	TAILQ_INSERT_TAIL(&client->waiting, call, next);
	if (client->connected)
		event_active(client->wake, EV_TIMEOUT, 0);
	else
		try_again(client, client->persistent ? client->retry_ms : 0);
}

/* ---- answers */

static struct call *take_sent(struct memory_client *client, uint64_t number)
{
	struct call *call;

	TAILQ_FOREACH(call, &client->sent, next) {
		if (call->number == number) {
			TAILQ_REMOVE(&client->sent, call, next);
			return call;
		}
	}
	return NULL;
}

/* One that is refused by its line alone is answered before all of it was sent, and the rest of it is skipped there. */
static bool is_unfinished(const struct memory_client *client, uint64_t number)
{
	return client->sending && client->sending->number == number && reply_is_none(&client->early);
}

static int take_answer(struct memory_client *client)
{
	const json_t *line = client->wire.line, *reply = json_object_get(line, "reply");
	uint64_t number = (uint64_t)wire_number(line, "number", 0);
	struct reply why = { 0 };
	struct call *call;

	if (reply && reply_from_json(&why, reply) < 0)
		return -1;
	if (is_unfinished(client, number) && reply) {
		reply_move(&client->early, &why);
		return 0;
	}
	call = take_sent(client, number);
	if (call) {
		client->seen_boot_ms = clock_boot_ms();
		client->free_bytes = (uint64_t)wire_number(line, "free", 0);
		client->messages = (uint64_t)wire_number(line, "messages", 0);
		call->answered(call, line, &client->wire.octets, reply ? &why : NULL);
	}
	reply_release(&why);
	return call ? 0 : -1;
}

static enum wire_result take_one(struct memory_client *client, const char *data, size_t size, size_t *taken)
{
	struct wire *wire = &client->wire;
	enum wire_result result = wire_take(wire, data, size, taken);

	if (result == WIRE_LINE && json_is_true(json_object_get(wire->line, "moved"))) {
		client->moving = true;
		stream_abort(&client->stream, 0);
		return WIRE_MORE;
	}
	if (result == WIRE_LINE && wire->bytes > client->answer_max)
		return WIRE_BROKEN;
	if (result != WIRE_WHOLE)
		return result;
	if (take_answer(client) < 0)
		return WIRE_BROKEN;
	wire_next(wire);
	return result;
}

static size_t on_input(void *arg, const char *data, size_t size)
{
	struct memory_client *client = arg;
	enum wire_result result;
	size_t at = 0, taken;

	do {
		result = take_one(client, data + at, size - at, &taken);
		at += taken;
	} while (result == WIRE_LINE || result == WIRE_WHOLE);
	if (result == WIRE_BROKEN)
		stream_abort(&client->stream, EPROTO);
	return at;
}

static void on_ended(void *arg)
{
	struct memory_client *client = arg;

	stream_abort(&client->stream, 0);
}

static void on_timed_out(void *arg)
{
	struct memory_client *client = arg;
	struct call *oldest = TAILQ_FIRST(&client->sent);

	if (oldest && clock_boot_ms() - oldest->sent_boot_ms > CLIENT_ANSWER_MS)
		stream_abort(&client->stream, ETIMEDOUT);
}

static void on_drained(void *arg)
{
	pump(arg);
}

/* ---- the connection */

/* What was not sent whole was not done, and can be sent again; so can all, where we were told so. */
static void take_back(struct memory_client *client)
{
	struct call *call;

	if (client->sending) {
		TAILQ_INSERT_HEAD(&client->waiting, client->sending, next);
		client->sending = NULL;
		reply_release(&client->early);
	}
	while (client->moving && (call = TAILQ_LAST(&client->sent, calls))) {
		TAILQ_REMOVE(&client->sent, call, next);
		TAILQ_INSERT_HEAD(&client->waiting, call, next);
	}
	TAILQ_FOREACH(call, &client->waiting, next)
		if (call->rewind)
			call->rewind(call);
}

static void disconnect(struct memory_client *client)
{
	stream_release(&client->stream);
	wire_next(&client->wire);
	client->connected = false;
	client->lost_boot_ms = clock_boot_ms();
	take_back(client);
	client->moving = false;
	fail_all(&client->sent, true);
}

static void on_closed(void *arg, int error)
{
	struct memory_client *client = arg;

	/* An operator is told by what he asked for. */
	if (!client->moving && client->context->role != STORAGE_FOR_OPERATOR)
		log_info("queue", "lost the connection to a memory queue", LOG_TEXT("queue", client->context->queue),
			LOG_TEXT("error", error ? strerror(error) : NULL));
	disconnect(client);
	client->retry_ms = RETRY_FIRST_MS;
	if (client->lost)
		client->lost(client->lost_arg);
	try_again(client, client->retry_ms);
}

static const struct stream_handler handler = { on_input, on_ended, on_timed_out, on_closed, on_drained };

static void say_opened(struct memory_client *client, bool there)
{
	storage_done_fn *opened = client->opened;
	struct reply why = { 0 };

	client->opened = NULL;
	if (!opened)
		return;
	if (!there && (client->error == EACCES || client->error == EPERM))
		reply_set(&why, 451, "4.3.0", "its worker may not be asked: %s", strerror(client->error));
	else if (!there)
		reply_set(&why, 451, "4.3.0", "its worker is not there");
	opened(client->opened_arg, there ? NULL : &why);
	reply_release(&why);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct memory_client *client = arg;
	int connection;

	(void)fd;
	(void)what;
	if (client->connected) {
		pump(client);
		return;
	}
	connection = serving_connect(client->context, client->next);
	client->error = connection < 0 ? errno : 0;
	if (connection >= 0) {
		stream_open(&client->stream, client->context->base, connection, SILENCE_MS, &handler, client);
		client->connected = true;
		client->retry_ms = RETRY_FIRST_MS;
		say_opened(client, true);
		pump(client);
		return;
	}
	client->retry_ms = client->retry_ms * 2 < RETRY_LAST_MS ? client->retry_ms * 2 : RETRY_LAST_MS;
	if (!client->persistent || clock_boot_ms() - client->begun_boot_ms > OPENING_MS)
		say_opened(client, false);
	fail_late(client);
	if (client->persistent)
		try_again(client, client->retry_ms);
}

void client_open(struct memory_client *client, const struct storage_context *context, storage_done_fn *opened, void *arg)
{
	client->context = context;
	client->opened = opened;
	client->opened_arg = arg;
	client->retry_ms = RETRY_FIRST_MS;
	client->begun_boot_ms = clock_boot_ms();
	TAILQ_INIT(&client->waiting);
	TAILQ_INIT(&client->sent);
	client->wake = event_new(context->base, -1, 0, on_wake, client);
	if (!client->wake)
		BUG("no event");
	try_again(client, 0);
}

void client_close(struct memory_client *client)
{
	if (client->connected)
		disconnect(client);
	/* Who is called back may ask for more, which is refused too. */
	say_opened(client, false);
	fail_all(&client->waiting, false);
	event_free(client->wake);
}

/* ---- room */

static void on_refreshed(void *arg, const struct reply *why, const struct queue_counts *counts)
{
	(void)why;
	(void)counts;
	((struct memory_client *)arg)->refreshing = false;
}

int client_accepts(struct memory_client *client, uint64_t max_messages, uint64_t size, struct reply *why)
{
	int64_t now_ms = clock_boot_ms(), seen_ms = now_ms - client->seen_boot_ms;

	if (!client->connected && (!client->lost_boot_ms || now_ms - client->lost_boot_ms > GRACE_MS)) {
		reply_set(why, 451, "4.3.0", "The queue's worker is not there");
		return -1;
	}
	if (client->connected && !client->refreshing && seen_ms > FRESH_MS) {
		client->refreshing = true;
		client_info(client, on_refreshed, client);
	}
	if (!client->seen_boot_ms || seen_ms > STALE_MS)
		return 0;
	if ((!max_messages || client->messages < max_messages) && client->free_bytes > MESSAGE_OVERHEAD &&
			size <= client->free_bytes - MESSAGE_OVERHEAD)
		return 0;
	reply_set(why, 452, "4.3.1", "Insufficient system storage");
	return -1;
}
