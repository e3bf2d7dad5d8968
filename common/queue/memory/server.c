/* server.c - the socket by which others reach what a memory queue holds: connections, requests in, answers out
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/server.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define PEER_TIMEOUT_MS 20000
#define ACCEPTS_AN_EVENT 16
#define AGAIN_MS 250
#define OUT_MAX 65536			/* octets of answers that are copied for sending at a time */

struct answer {
	TAILQ_ENTRY(answer) next;
	struct buffer line;		/* and small octets */
	struct form *form;		/* or its octets */
	size_t sent;
};

struct peer {
	LIST_ENTRY(peer) next;
	struct server *server;
	struct stream stream;
	struct wire wire;
	int64_t begun_boot_ms;		/* of the request that is coming; 0: none is */
	uint64_t reserved;
	struct reply refused;		/* why its octets are skipped; none: they are kept */
	LIST_HEAD(, request) requests;
	TAILQ_HEAD(, answer) answers;
	unsigned pending;
};

bool server_is_quiet(const struct server *server)
{
	return LIST_EMPTY(&server->peers) && !server->request_count;
}

static void say_quiet(struct server *server)
{
	if (server->quiet && server_is_quiet(server))
		server->quiet(server->arg);
}

/* ---- answers out */

static void answer_free(struct peer *peer, struct answer *answer)
{
	TAILQ_REMOVE(&peer->answers, answer, next);
	buffer_release(&answer->line);
	form_release(answer->form);
	free(answer);
}

/* False: there is more of it. */
static bool put_some(struct buffer *out, struct answer *answer)
{
	size_t form_size = answer->form ? answer->form->size : 0, part;

	buffer_append(out, answer->line.data, answer->line.size);
	buffer_release(&answer->line);
	part = form_size - answer->sent < OUT_MAX ? form_size - answer->sent : OUT_MAX;
	if (part)
		buffer_append(out, answer->form->data + answer->sent, part);
	answer->sent += part;
	return answer->sent == form_size;
}

static void send_away_if_done(struct peer *peer)
{
	if (!peer->server->moved || peer->pending || !TAILQ_EMPTY(&peer->answers))
		return;
	wire_append(&peer->stream.out, json_pack("{s:b}", "moved", 1));
	stream_finish(&peer->stream, true);
}

static void pump(struct peer *peer)
{
	struct answer *answer;

	while (peer->stream.out.size < OUT_MAX && (answer = TAILQ_FIRST(&peer->answers)))
		if (put_some(&peer->stream.out, answer))
			answer_free(peer, answer);
	send_away_if_done(peer);
	stream_touch(&peer->stream);
}

static void add_free_room(const struct server *server, json_t *line)
{
	const struct store *store = server->store;
	uint64_t max = store->max_memory_bytes;

	json_object_set_new(line, "free",
		json_integer((json_int_t)(store->used_bytes < max ? max - store->used_bytes : 0)));
	json_object_set_new(line, "messages", json_integer((json_int_t)store->messages.count));
}

static void queue_answer(struct request *request, json_t *line, struct buffer *octets, struct form *form)
{
	struct answer *answer = xcalloc(1, sizeof(*answer));
	size_t bytes = (octets ? octets->size : 0) + (form ? form->size : 0);

	json_object_set(line, "number", json_object_get(request->line, "number"));
	add_free_room(request->server, line);
	if (bytes)
		json_object_set_new(line, "bytes", json_integer((json_int_t)bytes));
	wire_append(&answer->line, line);
	if (octets)
		buffer_append(&answer->line, octets->data, octets->size);
	answer->form = form ? form_hold(form) : NULL;
	TAILQ_INSERT_TAIL(&request->peer->answers, answer, next);
}

static void request_free(struct request *request)
{
	store_unreserve(request->server->store, request->reserved);
	json_decref(request->line);
	json_decref(request->state);
	buffer_release(&request->octets);
	forms_release(&request->forms);
	store_look_release(&request->seen);
	reply_release(&request->why);
	request->server->request_count--;
	say_quiet(request->server);
	free(request);
}

void server_answer(struct request *request, json_t *members, struct buffer *octets, struct form *form)
{
	struct peer *peer = request->peer;
	bool failed = !reply_is_none(&request->why);

	if (!members || failed) {
		json_decref(members);
		members = json_object();
	}
	if (failed)
		json_object_set_new(members, "reply", reply_to_json(&request->why));
	if (peer) {
		queue_answer(request, members, failed ? NULL : octets, failed ? NULL : form);
		LIST_REMOVE(request, next);
		peer->pending--;
		stream_pause(&peer->stream, false);
		pump(peer);
	} else {
		json_decref(members);
	}
	if (octets)
		buffer_release(octets);
	request_free(request);
}

/* ---- requests in */

static void run_request(struct peer *peer)
{
	struct request *request = xcalloc(1, sizeof(*request));

	*request = (struct request){ .server = peer->server, .peer = peer, .reserved = peer->reserved };
	request->line = json_incref(peer->wire.line);
	request->octets = peer->wire.octets;
	peer->wire.octets = (struct buffer){ 0 };
	reply_move(&request->why, &peer->refused);
	peer->server->request_count++;
	peer->reserved = 0;
	peer->begun_boot_ms = 0;
	wire_next(&peer->wire);
	LIST_INSERT_HEAD(&peer->requests, request, next);
	if (++peer->pending >= SERVER_PENDING_MAX)
		stream_pause(&peer->stream, true);
	if (reply_is_none(&request->why))
		server_run(request);
	else
		server_answer(request, NULL, NULL, NULL);
}

static void begin_request(struct peer *peer)
{
	struct wire *wire = &peer->wire;

	if (server_admit(peer->server, wire->line, wire->bytes, &peer->reserved, &peer->refused) < 0)
		wire->skip = true;
	else
		buffer_reserve(&wire->octets, (size_t)peer->reserved);
}

static void give_up(struct peer *peer, const char *because)
{
	log_warn("queue", "ended a connection to a memory queue", LOG_TEXT("queue", peer->server->context->queue),
		LOG_TEXT("because", because));
	stream_abort(&peer->stream, EPROTO);
}

static bool is_late(const struct peer *peer)
{
	return peer->begun_boot_ms && clock_boot_ms() - peer->begun_boot_ms > SERVER_REQUEST_MS;
}

static size_t on_input(void *arg, const char *data, size_t size)
{
	struct peer *peer = arg;
	enum wire_result result = WIRE_MORE;
	size_t at = 0, taken;

	/* Who is told to go elsewhere is not heard any more. */
	if (peer->server->moved)
		return size;
	while (peer->pending < SERVER_PENDING_MAX) {
		result = wire_take(&peer->wire, data + at, size - at, &taken);
		at += taken;
		if (result == WIRE_LINE)
			begin_request(peer);
		else if (result == WIRE_WHOLE)
			run_request(peer);
		else
			break;
	}
	if (result == WIRE_BROKEN)
		give_up(peer, "what it sent is no request");
	else if (!peer->begun_boot_ms && (at < size || !wire_is_between(&peer->wire)))
		peer->begun_boot_ms = clock_boot_ms();
	else if (is_late(peer))
		give_up(peer, "a request took too long to come");
	return at;
}

static void on_ended(void *arg)
{
	struct peer *peer = arg;

	stream_finish(&peer->stream, false);
}

static void on_timed_out(void *arg)
{
	struct peer *peer = arg;

	if (is_late(peer))
		give_up(peer, "a request took too long to come");
}

static void peer_free(struct peer *peer)
{
	struct request *request;
	struct answer *answer;

	while ((request = LIST_FIRST(&peer->requests))) {
		LIST_REMOVE(request, next);
		request->peer = NULL;
	}
	while ((answer = TAILQ_FIRST(&peer->answers)))
		answer_free(peer, answer);
	store_unreserve(peer->server->store, peer->reserved);
	wire_next(&peer->wire);
	reply_release(&peer->refused);
	stream_release(&peer->stream);
	LIST_REMOVE(peer, next);
	peer->server->peer_count--;
	say_quiet(peer->server);
	free(peer);
}

static void on_closed(void *arg, int error)
{
	(void)error;
	peer_free(arg);
}

static void on_drained(void *arg)
{
	pump(arg);
}

static const struct stream_handler handler = { on_input, on_ended, on_timed_out, on_closed, on_drained };

/* ---- connections */

static void peer_new(struct server *server, int fd)
{
	struct peer *peer;

	if (server->peer_count >= SERVER_PEERS_MAX || !serving_trusts(fd)) {
		log_warn("queue", "refused a connection to a memory queue", LOG_TEXT("queue", server->context->queue),
			LOG_TEXT("because", server->peer_count >= SERVER_PEERS_MAX ? "there are too many" :
				"it is of another user"));
		close(fd);
		return;
	}
	peer = xcalloc(1, sizeof(*peer));
	peer->server = server;
	LIST_INIT(&peer->requests);
	TAILQ_INIT(&peer->answers);
	LIST_INSERT_HEAD(&server->peers, peer, next);
	server->peer_count++;
	stream_open(&peer->stream, server->context->base, fd, PEER_TIMEOUT_MS, &handler, peer);
}

static void try_again(struct server *server)
{
	event_add(server->again, &(struct timeval){ .tv_usec = AGAIN_MS * 1000 });
}

static void on_connection(evutil_socket_t listening, short what, void *arg)
{
	struct server *server = arg;

	(void)what;
	for (unsigned i = 0; i < ACCEPTS_AN_EVENT; i++) {
		int fd = FAULT("memory.accept", accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno != EAGAIN) {
			log_error("queue", "could not accept a connection", LOG_TEXT("queue", server->context->queue),
				LOG_TEXT("error", strerror(errno)));
			event_del(server->accepting);
			try_again(server);
		}
		if (fd < 0)
			return;
		peer_new(server, fd);
	}
}

/* Accepts again after a failure; who waits to serve looks whether it is its turn. */
static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	if (!server->moved)
		event_add(server->accepting, NULL);
	if (server->serving.holds && server->serving.shown)
		return;
	if (!serving_hold(&server->serving))
		try_again(server);
	else
		log_info("queue", "serves a memory queue whose worker is gone", LOG_TEXT("queue", server->context->queue));
}

int server_open(struct server *server, const struct storage_context *context, struct store *store, struct tasks *tasks,
	struct reply *why)
{
	*server = (struct server){ .context = context, .store = store, .tasks = tasks };
	LIST_INIT(&server->peers);
	if (serving_begin(&server->serving, context, why) < 0)
		return -1;
	server->accepting = event_new(context->base, server->serving.fd, EV_READ | EV_PERSIST, on_connection, server);
	server->again = event_new(context->base, -1, 0, on_again, server);
	if (!server->accepting || !server->again || event_add(server->accepting, NULL) < 0)
		BUG("no event");
	if (!server->serving.holds)
		try_again(server);
	return 0;
}

void server_close(struct server *server)
{
	struct peer *peer;

	while ((peer = LIST_FIRST(&server->peers)))
		peer_free(peer);
	event_free(server->accepting);
	event_free(server->again);
	serving_end(&server->serving);
}

void server_move(struct server *server)
{
	struct peer *peer;

	if (server->moved)
		return;
	server->moved = true;
	event_del(server->accepting);
	/* Who waits to be accepted is cut off, and comes again. */
	fd_close(&server->serving.fd);
	LIST_FOREACH(peer, &server->peers, next) {
		store_unreserve(server->store, peer->reserved);
		peer->reserved = 0;
		wire_next(&peer->wire);
		pump(peer);
	}
}
