/* server.c - slimta-edge at work
 * SPDX-License-Identifier: MIT */
#include "edge/server.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/queue.h"
#include "edge/accept.h"
#include "edge/client_name.h"
#include "edge/edge.h"
#include "edge/turns.h"

struct server_queue {
	struct server *server;
	struct queue *queue;
	struct storage_context context;
};

struct server {
	struct child *child;
	struct edge **edges;
	size_t edge_count;
	struct server_queue **queues;	/* each once, however many edges feed it */
	size_t queue_count, opening;
	struct acceptors *acceptors;
	struct client_names *names;
	struct turns *hash;		/* NULL: nobody needs it */
	struct event *bound;		/* the end of draining gently */
	size_t most_connections;
	bool draining, failed;
};

/* ---- loading */

static struct queue *queue_of(struct server *server, const char *name, struct config_errors *errors)
{
	struct child *child = server->child;
	struct server_queue *added;

	for (size_t i = 0; i < server->queue_count; i++) {
		if (strcmp(server->queues[i]->context.queue, name) == 0)
			return server->queues[i]->queue;
	}
	added = xcalloc(1, sizeof(*added));
	added->server = server;
	added->context = (struct storage_context){ .base = child->base, .disk = child->disk,
		.process = &child->process, .queue = name, .role = STORAGE_FOR_EDGE };
	added->queue = queue_load(child->config, name, &added->context, errors);
	server->queues = xrealloc(server->queues, server->queue_count + 1, sizeof(*server->queues));
	server->queues[server->queue_count++] = added;
	return added->queue;
}

/* A master has told of warnings, once. */
static bool print_errors(struct config_errors *errors, bool alone)
{
	struct buffer text = { 0 };
	bool failed = errors->error_count > 0;

	config_errors_print(errors, &text);
	if (failed || alone)
		fputs(buffer_str(&text), stderr);
	buffer_release(&text);
	config_errors_release(errors);
	return failed;
}

/* A session may have a spool file, and the queue writes files: those must not lack descriptors. */
static size_t connections_for(size_t listeners)
{
	const size_t own = 48 + listeners;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return limit.rlim_cur > 2 * own ? (limit.rlim_cur - own) / 2 : 1;
}

struct server *server_new(struct child *child)
{
	struct server *server = xcalloc(1, sizeof(*server));
	struct config_errors errors = { 0 };

	server->child = child;
	server->names = client_names_new(child);
	server->most_connections = connections_for(child->listener_count);
	edges_load(child->config, &child->process, &server->edges, &server->edge_count, &errors);
	for (size_t i = 0; i < server->edge_count; i++) {
		struct edge *edge = server->edges[i];

		edge->server = server;
		edge->child = child;
		edge->queue = queue_of(server, edge->options.queue, &errors);
	}
	if (child->alone)
		edges_warn(child->config, server->edges, server->edge_count, &errors);
	if (!print_errors(&errors, child->alone))
		return server;
	server_free(server);
	return NULL;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	acceptors_free(server->acceptors);
	for (size_t i = 0; i < server->edge_count; i++) {
		arrivals_close(server->edges[i]);
		server->edges[i]->driver->close(server->edges[i]);
	}
	turns_free(server->hash);
	client_names_free(server->names);
	for (size_t i = 0; i < server->queue_count; i++) {
		queue_free(server->queues[i]->queue);
		free(server->queues[i]);
	}
	free(server->queues);
	for (size_t i = 0; i < server->edge_count; i++)
		edge_free(server->edges[i]);
	free(server->edges);
	if (server->bound)
		event_free(server->bound);
	free(server);
}

/* ---- draining */

static bool is_drained(const struct server *server)
{
	for (size_t i = 0; i < server->edge_count; i++) {
		if (server->edges[i]->connections)
			return false;
	}
	for (size_t i = 0; i < server->queue_count; i++) {
		if (queue_pending(server->queues[i]->queue))
			return false;
	}
	return true;
}

void server_settle(struct server *server)
{
	if (server->draining && is_drained(server))
		child_finished(server->child);
}

static void drain_edges(struct server *server, bool now)
{
	for (size_t i = 0; i < server->edge_count; i++) {
		arrivals_drain(server->edges[i]);
		server->edges[i]->driver->drain(server->edges[i], now);
	}
	server_settle(server);
}

static void on_bound(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	drain_edges(arg, true);
}

static void drain(void *arg, const struct child_drain *how)
{
	struct server *server = arg;
	struct timeval bound = { how->timeout_ms / 1000, how->timeout_ms % 1000 * 1000 };

	server->draining = true;
	acceptors_close(server->acceptors);
	server->bound = evtimer_new(server->child->base, on_bound, server);
	if (!server->bound)
		BUG("no timer event");
	event_add(server->bound, &bound);
	drain_edges(server, how->timeout_ms == 0);
}

static void hurry(void *arg, int64_t timeout_ms)
{
	struct server *server = arg;
	struct timeval bound = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

	event_add(server->bound, &bound);
}

static void adopt(void *arg, size_t listener, bool on)
{
	struct server *server = arg;

	acceptors_adopt(server->acceptors, &server->child->listeners[listener], on);
}

static void stats(void *arg, json_t *into)
{
	struct server *server = arg;
	json_t *edges = json_object();

	for (size_t i = 0; i < server->edge_count; i++)
		json_object_set_new(edges, server->edges[i]->name,
			json_pack("{s:I}", "connections",
				(json_int_t)server->edges[i]->connections));
	json_object_set_new(into, "edges", edges);
}

/* ---- starting */

static void serve(struct server *server)
{
	for (size_t i = 0; i < server->edge_count; i++) {
		edge_limits_open(server->edges[i]);
		server->edges[i]->driver->open(server->edges[i]);
	}
	acceptors_start(server->acceptors);
	child_ready(server->child);
}

static void opened(void *arg, const struct reply *why)
{
	struct server_queue *queue = arg;
	struct server *server = queue->server;

	server->opening--;
	if (why) {
		log_error("edge", "could not open a queue", LOG_TEXT("queue", queue->context.queue),
			LOG_INT("code", why->code), LOG_TEXT("reason", why->text));
		server->failed = server->failed || reply_is_permanent(why);
	}
	if (server->opening || server->draining)
		return;
	if (server->failed)
		child_finished(server->child);
	else
		serve(server);
}

static struct edge *edge_named(const struct server *server, const char *name)
{
	for (size_t i = 0; i < server->edge_count; i++) {
		if (strcmp(server->edges[i]->name, name) == 0)
			return server->edges[i];
	}
	return NULL;
}

void server_start(struct server *server)
{
	struct child *child = server->child;

	child->drain = drain;
	child->hurry = hurry;
	child->adopt = adopt;
	child->stats = stats;
	child->arg = server;
	server->acceptors = acceptors_new(server);
	for (size_t i = 0; i < child->listener_count; i++) {
		struct child_listener *listener = &child->listeners[i];
		struct edge *edge = edge_named(server, listener->edge);

		if (edge)
			acceptors_add(server->acceptors, edge, listener);
	}
	server->opening = server->queue_count;
	for (size_t i = 0; i < server->queue_count; i++)
		queue_open(server->queues[i]->queue, opened, server->queues[i]);
	if (!server->queue_count)
		serve(server);
}

struct turns *server_hash_turns(struct server *server)
{
	if (!server->hash)
		server->hash = turns_new(server->child->base, "hash");
	if (!server->hash)
		log_error("edge", "could not start a thread for passwords", LOG_TEXT("error", strerror(errno)));
	return server->hash;
}

bool server_failed(const struct server *server)
{
	return server->failed;
}

static size_t connections_of(const struct server *server)
{
	size_t connections = 0;

	for (size_t i = 0; i < server->edge_count; i++)
		connections += server->edges[i]->connections;
	return connections;
}

bool server_has_room(const struct server *server)
{
	return connections_of(server) < server->most_connections;
}

struct client_names *server_client_names(const struct server *server)
{
	return connections_of(server) + CLIENT_NAMES_DESCRIPTORS / 2 <= server->most_connections ? server->names : NULL;
}
