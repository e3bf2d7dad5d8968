/* dial.c - a connection to a host by its name, or to a unix socket: all addresses in turn
 * SPDX-License-Identifier: MIT */
#include "common/net/dial.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/net/connector.h"
#include "common/net/resolver.h"

struct dial {
	struct event_base *base;
	unsigned port;
	int64_t timeout_ms;
	struct resolver_query *query;
	struct connector *connector;
	struct event *event;		/* tells, from the loop, what was known at once */
	struct sockaddr_un path;
	struct host_address addresses[HOST_ADDRESSES];
	size_t count, next;
	bool is_name;
	struct buffer error;
	dial_done_fn *done;
	void *arg;
};

static void finish(struct dial *dial, int fd)
{
	dial_done_fn *done = dial->done;
	void *arg = dial->arg;
	struct buffer error = dial->error;

	dial->error = (struct buffer){ 0 };
	dial_cancel(dial);
	done(arg, fd, fd < 0 ? buffer_str(&error) : NULL);
	buffer_release(&error);
}

static void try_next(struct dial *dial);

static void on_connected(void *arg, int fd, int error)
{
	struct dial *dial = arg;
	char text[HOST_ADDRESS_TEXT_SIZE];

	dial->connector = NULL;
	if (fd >= 0) {
		finish(dial, fd);
		return;
	}
	buffer_reset(&dial->error);
	if (dial->is_name)
		buffer_appendf(&dial->error, "%s: ", host_address_text(&dial->addresses[dial->next - 1], text));
	buffer_append_str(&dial->error, strerror(error));
	if (dial->next < dial->count)
		try_next(dial);
	else
		finish(dial, -1);
}

static void try_next(struct dial *dial)
{
	struct host_address *address = &dial->addresses[dial->next++];

	if (address->any.sa_family == AF_INET6)
		address->v6.sin6_port = htons((uint16_t)dial->port);
	else
		address->v4.sin_port = htons((uint16_t)dial->port);
	dial->connector = connector_start(dial->base, &address->any, host_address_size(address), NULL, dial->timeout_ms,
		on_connected, dial);
}

static void on_addresses(void *arg, const struct reply *why, const struct host_address *addresses, size_t count)
{
	struct dial *dial = arg;

	dial->query = NULL;
	if (why) {
		buffer_append_str(&dial->error, why->text);
		finish(dial, -1);
		return;
	}
	dial->count = count < HOST_ADDRESSES ? count : HOST_ADDRESSES;
	memcpy(dial->addresses, addresses, dial->count * sizeof(*addresses));
	try_next(dial);
}

static void on_failed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish(arg, -1);
}

static void fail(struct dial *dial, const char *why)
{
	buffer_append_str(&dial->error, why);
	dial->event = event_new(dial->base, -1, 0, on_failed, dial);
	if (!dial->event)
		BUG("no event for a connection");
	event_active(dial->event, EV_TIMEOUT, 0);
}

static void start_unix(struct dial *dial, const char *path)
{
	if (strlen(path) >= sizeof(dial->path.sun_path)) {
		fail(dial, strerror(ENAMETOOLONG));
		return;
	}
	dial->path.sun_family = AF_UNIX;
	memcpy(dial->path.sun_path, path, strlen(path));
	dial->count = dial->next = 1;
	dial->connector = connector_start(dial->base, (const struct sockaddr *)&dial->path, sizeof(dial->path), NULL,
		dial->timeout_ms, on_connected, dial);
}

char *dial_name(const char *what, const char *host, unsigned port)
{
	if (host[0] == '/')
		return xasprintf("%s at %s", what, host);
	return xasprintf(strchr(host, ':') && host[0] != '[' ? "%s at [%s]:%u" : "%s at %s:%u", what, host, port);
}

struct dial *dial_start(struct event_base *base, struct resolver *resolver, const char *host, unsigned port,
	int64_t timeout_ms, dial_done_fn *done, void *arg)
{
	struct dial *dial = xcalloc(1, sizeof(*dial));

	dial->base = base;
	dial->port = port;
	dial->timeout_ms = timeout_ms;
	dial->done = done;
	dial->arg = arg;
	if (host[0] == '/') {
		start_unix(dial, host);
	} else if (host_address_parse(&dial->addresses[0], host)) {
		dial->count = 1;
		try_next(dial);
	} else if (resolver) {
		dial->is_name = true;
		dial->query = resolver_addresses(resolver, host, on_addresses, dial);
	} else {
		fail(dial, "no address, and names are not looked up here");
	}
	return dial;
}

void dial_cancel(struct dial *dial)
{
	if (!dial)
		return;
	resolver_cancel(dial->query);
	connector_cancel(dial->connector);
	if (dial->event)
		event_free(dial->event);
	buffer_release(&dial->error);
	free(dial);
}
