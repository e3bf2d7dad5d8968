/* spawn_client.c - a worker's connection to the spawner
 * SPDX-License-Identifier: MIT */
#include "worker/spawn_client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/unix_socket.h"
#include "worker/channel.h"

#define RETRY_FIRST_MS 50
#define RETRY_LAST_MS 5000

struct spawn_call {
	TAILQ_ENTRY(spawn_call) link;
	uint32_t number;
	bool started;
	struct spawn_result result;
	spawn_done_fn *done;
	void *arg;
};

TAILQ_HEAD(calls, spawn_call);

struct spawn_client {
	struct event_base *base;
	char *path;
	struct channel *channel;	/* NULL: no connection */
	bool greeted;			/* there is a spawner at its other end */
	struct event *retry;
	int64_t retry_ms, away_since_ms;
	bool away_logged;
	uint32_t last_number;
	struct calls calls;
	spawn_state_fn *state;
	void *arg;
};

static void end_call(struct spawn_call *call)
{
	call->done(call->arg, &call->result);
	for (unsigned i = 0; i < SPAWN_STREAMS; i++)
		buffer_release(&call->result.output[i]);
	free(call);
}

static void retry_later(struct spawn_client *client)
{
	struct timeval after = { client->retry_ms / 1000, client->retry_ms % 1000 * 1000 };

	event_add(client->retry, &after);
	client->retry_ms = client->retry_ms * 2 < RETRY_LAST_MS ? client->retry_ms * 2 : RETRY_LAST_MS;
}

/* Once until it is there again. */
static void log_away(struct spawn_client *client, const char *event, const char *why)
{
	if (!client->away_logged)
		log_error("relay", event, LOG_TEXT("socket", client->path), LOG_TEXT("error", why));
	client->away_logged = true;
}

static void on_closed(void *arg)
{
	struct spawn_client *client = arg;
	struct calls calls = TAILQ_HEAD_INITIALIZER(calls);
	struct spawn_call *call;

	channel_free(client->channel);
	client->channel = NULL;
	if (client->greeted)
		client->away_since_ms = clock_boot_ms();
	client->greeted = false;
	log_away(client, "lost the spawner", "the connection was closed");
	retry_later(client);
	TAILQ_CONCAT(&calls, &client->calls, link);
	while ((call = TAILQ_FIRST(&calls))) {
		TAILQ_REMOVE(&calls, call, link);
		call->result.end = call->started ? SPAWN_LOST : SPAWN_CANCELLED;
		end_call(call);
	}
}

static void add_output(struct spawn_call *call, const struct spawn_packet *packet)
{
	struct buffer *kept = &call->result.output[packet->stream];
	size_t room = SPAWN_OUTPUT_MAX - kept->size;

	buffer_append(kept, packet->octets, packet->octet_count < room ? packet->octet_count : room);
}

static struct spawn_call *find_call(struct spawn_client *client, uint32_t number)
{
	struct spawn_call *call;

	TAILQ_FOREACH(call, &client->calls, link)
		if (call->number == number)
			return call;
	return NULL;
}

static void take_hello(struct spawn_client *client)
{
	client->greeted = true;
	client->retry_ms = RETRY_FIRST_MS;
	event_del(client->retry);
	if (client->away_logged)
		log_info("relay", "reached the spawner", LOG_TEXT("socket", client->path));
	client->away_logged = false;
	client->state(client->arg, true, 0);
}

static void on_packet(void *arg, const void *data, size_t size, int *fds, unsigned fd_count)
{
	struct spawn_client *client = arg;
	struct spawn_packet packet;
	struct spawn_call *call = NULL;

	(void)fds;
	if (spawn_decode(data, size, fd_count, &packet) == 0)
		call = find_call(client, packet.number);
	if (packet.type == SPAWN_HELLO && !client->greeted) {
		take_hello(client);
	} else if (call && packet.type == SPAWN_STARTED) {
		call->started = true;
	} else if (call && packet.type == SPAWN_OUTPUT) {
		add_output(call, &packet);
	} else if (call && packet.type == SPAWN_END) {
		call->result.end = packet.end;
		call->result.detail = packet.detail;
		TAILQ_REMOVE(&client->calls, call, link);
		end_call(call);
	} else {
		log_error("relay", "received what is no answer from the spawner", LOG_INT("size", size));
		on_closed(client);
	}
	spawn_packet_release(&packet);
}

static void on_retry(evutil_socket_t unused, short what, void *arg)
{
	struct spawn_client *client = arg;
	struct channel_events events = { on_packet, on_closed, NULL, client };
	int fd = client->channel ? -1 :
		FAULT("spawn.connect", unix_socket_connect(client->path, SOCK_SEQPACKET, SOCK_NONBLOCK));

	(void)unused;
	(void)what;
	if (fd >= 0)
		client->channel = channel_new(client->base, fd, &events);
	else if (!client->channel)
		log_away(client, "could not reach the spawner", strerror(errno));
	retry_later(client);
	client->state(client->arg, false, clock_boot_ms() - client->away_since_ms);
}

struct spawn_client *spawn_client_new(struct event_base *base, const char *path, spawn_state_fn *state, void *arg)
{
	struct spawn_client *client = xcalloc(1, sizeof(*client));

	*client = (struct spawn_client){ .base = base, .path = xstrdup(path), .retry_ms = RETRY_FIRST_MS,
		.away_since_ms = clock_boot_ms(), .state = state, .arg = arg };
	TAILQ_INIT(&client->calls);
	client->retry = event_new(base, -1, 0, on_retry, client);
	if (!client->retry)
		BUG("no event for a timer");
	event_active(client->retry, EV_TIMEOUT, 0);
	return client;
}

void spawn_client_free(struct spawn_client *client, void (*begun)(void *arg))
{
	struct spawn_call *call;

	if (!client)
		return;
	while ((call = TAILQ_FIRST(&client->calls))) {
		TAILQ_REMOVE(&client->calls, call, link);
		if (call->started)
			begun(call->arg);
		for (unsigned i = 0; i < SPAWN_STREAMS; i++)
			buffer_release(&call->result.output[i]);
		free(call);
	}
	channel_free(client->channel);
	event_free(client->retry);
	free(client->path);
	free(client);
}

bool spawn_client_is_connected(const struct spawn_client *client)
{
	return client->greeted;
}

struct spawn_call *spawn_client_call(struct spawn_client *client, const char *relay, const struct macros *macros,
	const struct spawn_message *message, spawn_done_fn *done, void *arg)
{
	struct spawn_call *call = xcalloc(1, sizeof(*call));
	struct buffer packet = { 0 };

	*call = (struct spawn_call){ .number = ++client->last_number, .done = done, .arg = arg };
	TAILQ_INSERT_TAIL(&client->calls, call, link);
	spawn_encode_request(&packet, call->number, relay, macros, message->pieces, message->piece_count);
	channel_send(client->channel, packet.data, packet.size, message->fds, message->fd_count);
	buffer_release(&packet);
	return call;
}

void spawn_client_cancel_all(struct spawn_client *client)
{
	struct buffer packet = { 0 };
	struct spawn_call *call;

	TAILQ_FOREACH(call, &client->calls, link) {
		if (call->started || !client->channel)
			continue;
		buffer_reset(&packet);
		spawn_encode_plain(&packet, SPAWN_CANCEL, call->number);
		channel_send(client->channel, packet.data, packet.size, NULL, 0);
	}
	buffer_release(&packet);
}
