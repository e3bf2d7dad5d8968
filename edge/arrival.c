/* arrival.c - what comes between accept(2) and the first word of a session
 * SPDX-License-Identifier: MIT
 * Of a PROXY header no octet too many leaves the socket: what stands behind it is the session's, or TLS'. */
#include "edge/arrival.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/listener.h"
#include "common/net/proxy.h"
#include "edge/edge.h"
#include "edge/open_relay.h"
#include "edge/tally.h"

#define PROXY_HEADER_MS 5000		/* for all of it */

const struct option arrival_rows[] = {
	{ "proxy_protocol", BOOL_FIELD(arrivals, proxy_protocol), "false", 0, 0,
		"connections begin with a PROXY header, v1 or v2; those without are closed", .alias = "proxyprotocol" },
	{ "proxy_from", TEXTS_FIELD(arrivals, proxy_from), NULL, 0, 0,
		"networks that may send PROXY headers, others are refused; any if absent", .check = networks_check },
	{ 0 }
};

/* A connection whose PROXY header is not whole. */
struct arrival {
	TAILQ_ENTRY(arrival) entry;
	struct edge *edge;
	int fd;
	struct peer proxy;
	char text[HOST_ADDRESS_TEXT_SIZE];	/* of the proxy */
	struct event event;
	int64_t until_ms;
	size_t had;			/* octets of the header */
	unsigned char header[PROXY_HEADER_MAX];
};

/* ---- the last steps */

/* The connection is known to be from `peer`. */
static void admit(struct edge *edge, int fd, struct peer *peer)
{
	const char *why = edge_limits_connect(edge, peer);

	if (why) {
		edge->driver->refuse(edge, fd, why);
		close(fd);
		edge_connection_closed(edge);
		return;
	}
	edge->driver->accepted(edge, fd, peer);
}

/* Closed without a word: what waits at the other end is no client of ours. */
static void refuse(struct edge *edge, int fd, const struct peer *from, const char *why)
{
	struct arrivals *all = &edge->arrivals;

	if (!all->refused)
		all->refused = tally_new(edge->child->base, "refused a connection", "refused connections", "because");
	tally_add_of(all->refused, edge->name, why, edge->connections, from->text);
	log_debug("edge", "refused", LOG_TEXT("client", from->text), LOG_INT("port", from->port),
		LOG_TEXT("edge", edge->name), LOG_TEXT("because", why));
	counter_add(edge->child->counters, COUNTER_EDGE_REFUSED, 1);
	close(fd);
	edge_connection_closed(edge);
}

/* ---- the PROXY header */

/* The fd is the caller's again, and `a` to be freed. */
static int take_out(struct arrival *a)
{
	event_del(&a->event);
	TAILQ_REMOVE(&a->edge->arrivals.waiting, a, entry);
	return a->fd;
}

static int leave(struct arrival *a)
{
	int fd = take_out(a);

	free(a);
	return fd;
}

/* What is lent to `peer` goes with the arrival: so that goes last. */
static void refuse_waiting(struct arrival *a, const char *why)
{
	refuse(a->edge, take_out(a), &a->proxy, why);
	free(a);
}

static void told(struct arrival *a, const struct proxy_header *header)
{
	char text[HOST_ADDRESS_TEXT_SIZE];
	struct peer peer = a->proxy;

	if (header->of == PROXY_OF_CLIENT)
		peer_of_address(&peer, &header->client, header->port, text);
	else if (header->of == PROXY_OF_UNKNOWN)
		peer_unknown(&peer);
	if (header->of != PROXY_OF_ITSELF)
		peer.proxy = a->proxy.text;
	admit(a->edge, take_out(a), &peer);
	free(a);
}

/* Somebody who looks whether the port is open is not worth a line. */
static void ended(struct arrival *a)
{
	struct edge *edge = a->edge;

	if (a->had) {
		refuse_waiting(a, "it ended within the PROXY header");
		return;
	}
	close(leave(a));
	edge_connection_closed(edge);
}

static void wait_for_more(struct arrival *a)
{
	int64_t left = a->until_ms - clock_boot_ms();
	struct timeval timeout = { left / 1000, left % 1000 * 1000 };

	if (left <= 0)
		refuse_waiting(a, "no PROXY header within 5 seconds");
	else
		event_add(&a->event, &timeout);
}

/* Takes what is there off the socket as far as it is of the header: 1 = there may be more, 0 = later, -1 = `a` is gone. */
static int take(struct arrival *a)
{
	struct proxy_header header;
	const char *why;
	ssize_t got = recv(a->fd, a->header + a->had, sizeof(a->header) - a->had, MSG_PEEK);
	int whole;

	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	if (got <= 0) {
		ended(a);
		return -1;
	}
	whole = proxy_header_read(a->header, a->had + (size_t)got, &header, &why);
	if (whole < 0) {
		refuse_waiting(a, why);
		return -1;
	}
	got = recv(a->fd, a->header + a->had, whole ? (size_t)whole - a->had : (size_t)got, 0);
	if (got > 0)
		a->had += (size_t)got;
	if (!whole || a->had < (size_t)whole)
		return 1;
	told(a, &header);
	return -1;
}

static void take_all(struct arrival *a)
{
	int more;

	while ((more = take(a)) > 0)
		;
	if (more == 0)
		wait_for_more(a);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	if (what & EV_READ)
		take_all(arg);
	else
		wait_for_more(arg);
}

static void await_header(struct edge *edge, int fd, const struct peer *proxy)
{
	struct arrival *a = xcalloc(1, sizeof(*a));

	a->edge = edge;
	a->fd = fd;
	a->proxy = *proxy;
	snprintf(a->text, sizeof(a->text), "%s", proxy->text);
	a->proxy.text = a->text;
	a->until_ms = clock_boot_ms() + PROXY_HEADER_MS;
	if (event_assign(&a->event, edge->child->base, fd, EV_READ, on_event, a) < 0)
		BUG("no event for a PROXY header");
	TAILQ_INSERT_TAIL(&edge->arrivals.waiting, a, entry);
	take_all(a);
}

/* ---- beginning and end */

void arrival_new(struct edge *edge, int fd, const struct sockaddr_storage *from)
{
	const struct arrivals *all = &edge->arrivals;
	char text[HOST_ADDRESS_TEXT_SIZE];
	struct peer peer;

	peer_of_socket(&peer, from, text);
	if (!all->proxy_protocol)
		admit(edge, fd, &peer);
	else if (all->proxies.count && !networks_have_address(&all->proxies, &peer.address))
		refuse(edge, fd, &peer, "its address is not one of proxy_from");
	else
		await_header(edge, fd, &peer);
}

void arrivals_init(struct arrivals *all)
{
	TAILQ_INIT(&all->waiting);
	networks_init(&all->proxies, &all->proxy_from);
}

/* Those are in no network. */
static void warn_of_unix_sockets(const struct config_node *section, const struct config_node *from, struct config_errors *errors)
{
	struct config_errors said = { 0 };	/* by their reader */
	struct listener_options *items;
	size_t count;

	listeners_load(section, listener_default_port(section), &items, &count, &said);
	for (size_t i = 0; i < count; i++) {
		if (items[i].type == LISTENER_UNIX)
			config_warning_at(errors, from, "refuses whoever comes by unix:%s, which has no address", items[i].path);
	}
	listeners_free(items, count);
	config_errors_release(&said);
}

void arrivals_check(const struct arrivals *all, const struct config_node *section, struct config_errors *errors)
{
	const struct config_node *from = config_get(section, "proxy_from"), *protocol = config_get(section, "proxy_protocol");
	char *listener = all->proxy_protocol && !all->proxies.count ? listener_beyond(section, false) : NULL;

	if (from && !all->proxy_protocol)
		config_warning_at(errors, from, "of no use without proxy_protocol: true");
	if (from && all->proxy_protocol && all->proxies.count)
		warn_of_unix_sockets(section, from, errors);
	if (listener)
		config_warning_at(errors, protocol ? protocol : section, "whoever reaches %s can pass for any client; "
			"expected proxy_from with the addresses of the proxies", listener);
	free(listener);
}

void arrivals_release(struct arrivals *all)
{
	tally_free(all->refused);
	networks_release(&all->proxies);
	options_release(arrival_rows, all);
}

void arrivals_drain(struct edge *edge)
{
	struct arrival *a;

	while ((a = TAILQ_FIRST(&edge->arrivals.waiting))) {
		int fd = leave(a);

		edge->driver->refuse(edge, fd, NULL);
		close(fd);
		edge_connection_closed(edge);
	}
	tally_flush(edge->arrivals.refused);
}

void arrivals_close(struct edge *edge)
{
	while (!TAILQ_EMPTY(&edge->arrivals.waiting)) {
		close(leave(TAILQ_FIRST(&edge->arrivals.waiting)));
		edge_connection_closed(edge);
	}
}
