/* accept.c - takes connections from the listening sockets
 * SPDX-License-Identifier: MIT */
#include "edge/accept.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "edge/arrival.h"
#include "edge/server.h"
#include "edge/tally.h"

#define ACCEPTS_PER_EVENT 16	/* then the sessions that are open have their turn */
#define REFUSALS_AT_CLOSE 1024
#define PAUSE_MS 200		/* without descriptors there is nothing to be done sooner */

struct acceptor {
	struct acceptors *all;
	struct edge *edge;
	struct child_listener *listener;
	struct event *event;
	bool on;			/* we accept on it */
};

struct acceptors {
	struct server *server;
	struct acceptor *items;
	size_t count;
	struct event *resume;
	struct tally *refused, *failed;
	int reserve;			/* given up for a moment to refuse somebody */
	bool paused;
};

struct acceptors *acceptors_new(struct server *server)
{
	struct acceptors *all = xcalloc(1, sizeof(*all));

	all->server = server;
	all->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return all;
}

void acceptors_add(struct acceptors *all, struct edge *edge, struct child_listener *listener)
{
	all->items = xrealloc(all->items, all->count + 1, sizeof(*all->items));
	all->items[all->count++] =
		(struct acceptor){ .all = all, .edge = edge, .listener = listener, .on = listener->own };
}

static int accept_one(const struct acceptor *a, struct sockaddr_storage *peer)
{
	socklen_t size = sizeof(*peer);

	memset(peer, 0, sizeof(*peer));
	return FAULT("edge.accept",
		accept4(a->listener->fd, (struct sockaddr *)peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

static void refuse_one(struct acceptor *a)
{
	struct sockaddr_storage peer;
	int fd;

	fd_close(&a->all->reserve);
	fd = accept_one(a, &peer);
	if (fd >= 0) {
		counter_add(a->edge->child->counters, COUNTER_EDGE_REFUSED, 1);
		a->edge->driver->refuse(a->edge, fd, NULL);
	}
	fd_close(&fd);
	a->all->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void pause_all(struct acceptors *all)
{
	struct timeval pause = { 0, PAUSE_MS * 1000 };

	all->paused = true;
	for (size_t i = 0; i < all->count; i++)
		event_del(all->items[i].event);
	event_add(all->resume, &pause);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct acceptors *all = arg;

	(void)fd;
	(void)what;
	all->paused = false;
	for (size_t i = 0; i < all->count; i++) {
		if (all->items[i].on)
			event_add(all->items[i].event, NULL);
	}
}

/* Nothing may be wrong with the socket, so another try at once would only spin. */
static void accept_failed(struct acceptor *a, int error)
{
	if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ECONNABORTED
		|| error == EPROTO)
		return;
	tally_add(a->all->failed, a->edge->name, strerrordesc_np(error), a->edge->connections);
	if (error == EMFILE || error == ENFILE)
		refuse_one(a);
	pause_all(a->all);
}

static void take(struct acceptor *a, int fd, const struct sockaddr_storage *peer)
{
	struct edge *edge = a->edge;
	const char *why;

	if (!server_has_room(a->all->server)) {
		tally_add(a->all->refused, edge->name, "no descriptors are left for more", edge->connections);
		counter_add(edge->child->counters, COUNTER_EDGE_REFUSED, 1);
		edge->driver->refuse(edge, fd, NULL);
		close(fd);
		return;
	}
	why = edge_limits_accept(edge);
	if (why) {
		edge->driver->refuse(edge, fd, why);
		close(fd);
		return;
	}
	edge->connections++;
	counter_add(edge->child->counters, COUNTER_EDGE_CONNECTIONS, 1);
	counter_add(edge->child->counters, COUNTER_EDGE_ACCEPTED, 1);
	arrival_new(edge, fd, peer);
}

static void on_readable(evutil_socket_t socket, short what, void *arg)
{
	struct acceptor *a = arg;
	struct sockaddr_storage peer;

	(void)socket;
	(void)what;
	for (unsigned i = 0; i < ACCEPTS_PER_EVENT; i++) {
		int fd = accept_one(a, &peer);

		if (fd < 0) {
			accept_failed(a, errno);
			return;
		}
		take(a, fd, &peer);
	}
}

void acceptors_start(struct acceptors *all)
{
	struct event_base *base = all->count ? all->items[0].edge->child->base : NULL;

	if (!base)
		return;
	all->resume = evtimer_new(base, on_resume, all);
	all->refused = tally_new(base, "refused a connection", "refused connections", "because");
	all->failed = tally_new(base, "could not accept", "could not accept several times", "error");
	for (size_t i = 0; i < all->count; i++) {
		struct acceptor *a = &all->items[i];

		a->event = event_new(base, a->listener->fd, EV_READ | EV_PERSIST, on_readable, a);
		if (!all->resume || !a->event || (a->on && event_add(a->event, NULL) < 0))
			BUG("no event for a listening socket");
	}
}

void acceptors_adopt(struct acceptors *all, const struct child_listener *listener, bool on)
{
	for (size_t i = 0; i < all->count; i++) {
		struct acceptor *a = &all->items[i];

		if (a->listener != listener)
			continue;
		a->on = on;
		if (a->event && !on)
			event_del(a->event);
		else if (a->event && !all->paused)
			event_add(a->event, NULL);
	}
}

/* Also what came to a sibling's: of all who close a socket the last one has refused the last that waited. */
static void refuse_waiting(struct acceptor *a)
{
	struct sockaddr_storage peer;

	for (unsigned n = 0; n < REFUSALS_AT_CLOSE; n++) {
		int fd = accept_one(a, &peer);

		if (fd < 0)
			return;
		a->edge->driver->refuse(a->edge, fd, NULL);
		close(fd);
	}
}

void acceptors_close(struct acceptors *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct acceptor *a = &all->items[i];

		if (a->event && !a->listener->kept)
			refuse_waiting(a);
		if (a->event)
			event_free(a->event);
		fd_close(&a->listener->fd);
	}
	all->count = 0;
	tally_flush(all->refused);
	tally_flush(all->failed);
	if (all->resume)
		event_del(all->resume);
}

void acceptors_free(struct acceptors *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->count; i++) {
		if (all->items[i].event)
			event_free(all->items[i].event);
	}
	if (all->resume)
		event_free(all->resume);
	tally_free(all->refused);
	tally_free(all->failed);
	fd_close(&all->reserve);
	free(all->items);
	free(all);
}
