/* limits.c - the limits of an edge, counted over all edges of the machine
 * SPDX-License-Identifier: MIT */
#include "edge/limits.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/lookup/canonical.h"
#include "common/message/reply.h"
#include "edge/edge.h"
#include "edge/tally.h"

#define WATCH_S 1			/* other edges may be what made it busy, or not */
#define PREFIX_V6 8			/* octets of a network that one client has */

const struct option edge_limits_rows[] = {
	{ "max_connections", UINT_FIELD(edge_limits, max_connections), "0", 0, 10000000,
		"connections to this edge on all of the machine: 421 4.7.0 beyond; 0 = none" },
	{ "max_connections_per_ip", UINT_FIELD(edge_limits, max_connections_per_ip), "0", 0, 10000000,
		"the same of one client, of IPv6 a /64: 421 4.7.0 beyond; 0 = none" },
	{ "max_messages_per_minute", UINT_FIELD(edge_limits, max_messages_per_minute), "0", 0, LIMITS_RATE_MAX,
		"messages of a user, or of a client that is none: 450 4.7.1 beyond; 0 = none" },
	{ 0 }
};

static struct limits *limits_of(const struct edge *edge)
{
	return edge->child->limits;
}

/* 0: not one that limits are for. */
static uint64_t client_key(const struct edge *edge, enum limits_kind kind, const char *scope, const struct peer *peer)
{
	const struct host_address *address = &peer->address;

	switch (address->any.sa_family) {
	case AF_INET:
		return limits_key(limits_of(edge), kind, scope, &address->v4.sin_addr, sizeof(address->v4.sin_addr));
	case AF_INET6:
		return limits_key(limits_of(edge), kind, scope, &address->v6.sin6_addr, PREFIX_V6);
	}
	return strcmp(peer->text, "unix") == 0 ? 0 : limits_key(limits_of(edge), kind, scope, "unknown", 7);
}

/* Networks of our own are not who the limits of clients are against: behind one address may be many. */
static uint64_t stranger_key(const struct edge *edge, enum limits_kind kind, const char *scope, const struct peer *peer)
{
	bool trusted = peer->address.any.sa_family && networks_have_address(&edge->trusted, &peer->address);

	return trusted ? 0 : client_key(edge, kind, scope, peer);
}

/* ---- many connections */

static bool is_over(const struct edge *edge, uint64_t held)
{
	return held * 100 > (uint64_t)edge->limits.max_connections * EDGE_BUSY_PERCENT;
}

static void set_busy(struct edge *edge, bool busy)
{
	struct edge_limits *l = &edge->limits;

	if (l->busy == busy)
		return;
	l->busy = busy;
	if (busy)
		tally_add(l->busied, edge->name, "max_connections is near", edge->connections);
	if (edge->driver->busy)
		edge->driver->busy(edge, busy);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct edge *edge = arg;

	(void)fd;
	(void)what;
	set_busy(edge, is_over(edge, limits_held(limits_of(edge), edge->limits.key)));
	if (edge->connections)
		event_add(edge->limits.watch, &(struct timeval){ WATCH_S, 0 });
}

static const char *refused(struct edge *edge, const struct peer *peer, const char *why)
{
	counter_add(edge->child->counters, COUNTER_EDGE_LIMITED_CONNECTIONS, 1);
	tally_add_of(edge->limits.refused, edge->name, why, edge->connections, peer ? peer->text : NULL);
	return why;
}

const char *edge_limits_accept(struct edge *edge)
{
	struct edge_limits *l = &edge->limits;
	uint64_t held;

	if (!l->max_connections)
		return NULL;
	if (!limits_hold(limits_of(edge), l->key))
		l->uncounted++;
	held = limits_held(limits_of(edge), l->key) + l->uncounted;
	if (held > l->max_connections) {
		edge_limits_closed(edge);
		return refused(edge, NULL, "Too many connections");
	}
	if (is_over(edge, held))
		set_busy(edge, true);
	if (!evtimer_pending(l->watch, NULL))
		event_add(l->watch, &(struct timeval){ WATCH_S, 0 });
	return NULL;
}

/* All connections are worth the same: it does not matter which of them was not counted. */
void edge_limits_closed(struct edge *edge)
{
	struct edge_limits *l = &edge->limits;

	if (!l->max_connections)
		return;
	if (l->uncounted)
		l->uncounted--;
	else
		limits_release(limits_of(edge), l->key);
}

const char *edge_limits_connect(struct edge *edge, struct peer *peer)
{
	unsigned most = edge->limits.max_connections_per_ip;
	uint64_t key = most ? stranger_key(edge, LIMITS_CLIENT_CONNECTIONS, edge->name, peer) : 0;

	peer->held = 0;
	if (!key || !limits_hold(limits_of(edge), key))
		return NULL;
	if (limits_held(limits_of(edge), key) <= most) {
		peer->held = key;
		return NULL;
	}
	limits_release(limits_of(edge), key);
	return refused(edge, peer, "Too many connections from your address");
}

void edge_limits_disconnect(struct edge *edge, const struct peer *peer)
{
	if (peer->held)
		limits_release(limits_of(edge), peer->held);
}

/* ---- messages, failures */

bool edge_limits_message(struct edge *edge, const struct peer *peer, const char *user, struct reply *why)
{
	unsigned most = edge->limits.max_messages_per_minute;
	struct limits *limits = limits_of(edge);
	char scope[256];
	uint64_t key;

	if (!most)
		return true;
	if (user) {
		/* Not the address that he may be named like; and the same however his domain is written. */
		char *name = canonical_address(user);

		snprintf(scope, sizeof(scope), "%s user", edge->name);
		key = limits_key(limits, LIMITS_MESSAGES, scope, name, strlen(name));
		free(name);
	} else {
		key = stranger_key(edge, LIMITS_MESSAGES, edge->name, peer);
	}
	if (!key || limits_count(limits, key, most, clock_boot_ms()))
		return true;
	counter_add(edge->child->counters, COUNTER_EDGE_LIMITED_MESSAGES, 1);
	tally_add_of(user ? edge->limits.slowed_users : edge->limits.slowed, edge->name, user ?
		"max_messages_per_minute of a user" : "max_messages_per_minute of an address", edge->connections,
		user ? user : peer->text);
	reply_set(why, 450, "4.7.1", "More than %u messages a minute from your %s", most, user ? "account" : "address");
	return false;
}

unsigned edge_limits_auth_failed(struct edge *edge, const struct peer *peer)
{
	uint64_t key = stranger_key(edge, LIMITS_FAILURES, "", peer);

	counter_add(edge->child->counters, COUNTER_EDGE_AUTH_FAILED, 1);
	return key ? limits_fail(limits_of(edge), key, clock_boot_ms()) : 1;
}

unsigned edge_limits_auth_failures(const struct edge *edge, const struct peer *peer)
{
	uint64_t key = stranger_key(edge, LIMITS_FAILURES, "", peer);

	return key ? limits_failures(limits_of(edge), key, clock_boot_ms()) : 0;
}

uint64_t edge_limits_client(const struct edge *edge, const struct peer *peer)
{
	return client_key(edge, LIMITS_FAILURES, "", peer);
}

/* ---- beginning and end */

void edge_limits_open(struct edge *edge)
{
	struct event_base *base = edge->child->base;
	struct edge_limits *l = &edge->limits;

	l->key = limits_key(limits_of(edge), LIMITS_CONNECTIONS, edge->name, NULL, 0);
	l->refused = tally_new(base, "refused a connection", "refused connections", "because");
	l->slowed = tally_new(base, "refused a message", "refused messages", "because");
	l->slowed_users = tally_new(base, "refused a message", "refused messages", "because");
	tally_set_of(l->slowed_users, "user");
	l->busied = tally_new(base, "shortened time-outs", "shortened time-outs several times", "because");
	l->watch = evtimer_new(base, on_watch, edge);
	if (!l->watch)
		BUG("no timer event");
}

void edge_limits_close(struct edge *edge)
{
	struct edge_limits *l = &edge->limits;

	tally_flush(l->refused);
	tally_flush(l->slowed);
	tally_flush(l->slowed_users);
	tally_flush(l->busied);
	tally_free(l->refused);
	tally_free(l->slowed);
	tally_free(l->slowed_users);
	tally_free(l->busied);
	if (l->watch)
		event_free(l->watch);
	l->refused = l->slowed = l->slowed_users = l->busied = NULL;
	l->watch = NULL;
}
