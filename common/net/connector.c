/* connector.c - a connection being made, by TCP or to a unix socket, on the loop
 * SPDX-License-Identifier: MIT */
#include "common/net/connector.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"

struct connector {
	int fd, error;
	struct event *event;
	connector_done_fn *done;
	void *arg;
};

static int result_of(const struct connector *connector, short what)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (connector->error)
		return connector->error;
	if (!(what & EV_WRITE))
		return ETIMEDOUT;
	return getsockopt(connector->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

static void on_event(evutil_socket_t unused, short what, void *arg)
{
	struct connector *connector = arg;
	connector_done_fn *done = connector->done;
	int error = result_of(connector, what), fd = -1;

	(void)unused;
	arg = connector->arg;
	if (!error) {
		fd = connector->fd;
		connector->fd = -1;
	}
	connector_cancel(connector);
	done(arg, fd, error);
}

/* The port is chosen as the connection is made: those to other hosts may have the same. */
static int bind_to(const struct connector *connector, const struct sockaddr *from, socklen_t size)
{
	int on = 1;

	if (setsockopt(connector->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0)
		return -1;
	return FAULT("net.bind", bind(connector->fd, from, size));
}

static int start(struct connector *connector, const struct sockaddr *address, socklen_t size, const struct sockaddr *from)
{
	int on = 1;

	connector->fd = FAULT("net.socket", socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	if (connector->fd < 0)
		return errno;
	if (address->sa_family != AF_UNIX && setsockopt(connector->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return errno;
	if (from && bind_to(connector, from, size) < 0)
		return errno;
	if (FAULT("net.connect", connect(connector->fd, address, size)) < 0 && errno != EINPROGRESS)
		return errno;
	return 0;
}

struct connector *connector_start(struct event_base *base, const struct sockaddr *address, socklen_t size,
	const struct sockaddr *from, int64_t timeout_ms, connector_done_fn *done, void *arg)
{
	struct connector *connector = xcalloc(1, sizeof(*connector));
	struct timeval timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

	connector->done = done;
	connector->arg = arg;
	connector->error = start(connector, address, size, from);
	connector->event = event_new(base, connector->fd, connector->fd < 0 ? 0 : EV_WRITE, on_event, connector);
	if (!connector->event)
		BUG("no event for a connection");
	if (connector->error)
		event_active(connector->event, EV_TIMEOUT, 0);
	else
		event_add(connector->event, &timeout);
	return connector;
}

void connector_cancel(struct connector *connector)
{
	if (!connector)
		return;
	event_free(connector->event);
	fd_close(&connector->fd);
	free(connector);
}
