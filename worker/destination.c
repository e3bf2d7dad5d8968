/* destination.c - a next hop: its connections, and the line of messages that wait for one
 * SPDX-License-Identifier: MIT
 * Callbacks only note what happened and wake up run(), which compares what is wanted with what is there. */
#include "worker/destination.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

#define SLOT_RETRY_MS 100		/* who waits for a slot tries again */
#define YIELD_MS 300			/* so that another gets the slot that was given up for it */
#define IDLE_LOOK_MS 1000		/* who has idle connections looks whether others wait */
#define REFILL_MS 30			/* the line may be empty so long without its connections being idle */
#define TIRED_DELIVERIES 100		/* a connection gives way to others who wait ... */
#define TIRED_AGE_MS 60000
#define MORE_AFTER_MS 1000		/* after one could not be made beside those that work */

struct link {
	TAILQ_ENTRY(link) entry;
	struct destination *destination;
	struct connection *connection;
	int slot;
	bool quitting, yielding;
};

struct destination {
	struct destination_settings settings;
	TAILQ_HEAD(, link) links;
	unsigned count;			/* of links */
	struct outgoing_list line;	/* waiting */
	struct event *wake, *bound;
	int64_t no_more_until_ms;	/* beside those that work */
	int64_t yield_until_ms;		/* to who waits for a slot that was given up */
	size_t failed;			/* connections that could not be made, while others are being made */
	struct reply why;		/* of these ... */
	char *why_host;			/* ... and where */
	bool room_wanted;		/* for a new connection, by the first in line */
	bool refills;			/* a connection is kept from others for a moment */
	bool draining;
};

static void run_soon(struct destination *destination)
{
	event_active(destination->wake, EV_TIMEOUT, 0);
}

/* ---- what connections tell */

static void on_ready(void *arg, struct connection *connection)
{
	struct link *link = arg;
	struct destination *destination = link->destination;

	(void)connection;
	if (destination->failed)
		destination->no_more_until_ms = clock_boot_ms() + MORE_AFTER_MS;
	destination->failed = 0;
	reply_release(&destination->why);
	run_soon(destination);
}

static void on_returned(void *arg, struct connection *connection, struct outgoing *outgoing, const struct reply *why)
{
	struct link *link = arg;
	struct destination *destination = link->destination;

	run_soon(destination);
	if (outgoing->again || destination->draining) {
		outgoing_finish(outgoing, RELAY_RESULT(why, connection_host(connection)));
		return;
	}
	outgoing->again = true;
	TAILQ_INSERT_HEAD(&destination->line, outgoing, link);
}

static bool has_worked(const struct destination *destination)
{
	const struct link *link;

	TAILQ_FOREACH(link, &destination->links, entry)
		if (connection_was_ready(link->connection))
			return true;
	return false;
}

static void quit(struct link *link)
{
	link->quitting = true;
	connection_quit(link->connection);
}

/* What goes over new connections only takes the place of the next one that is done, where there is no other. */
static void make_room(struct destination *destination)
{
	const struct outgoing *first = TAILQ_FIRST(&destination->line);
	const struct link *link;

	if (destination->room_wanted || !first || !first->again)
		return;
	TAILQ_FOREACH(link, &destination->links, entry)
		if (link->quitting)
			return;
	destination->room_wanted = true;
	run_soon(destination);
}

/* Those that will take a message each without a new connection. */
static size_t count_opening(const struct destination *destination)
{
	const struct link *link;
	size_t count = 0;

	TAILQ_FOREACH(link, &destination->links, entry)
		count += !connection_was_ready(link->connection) && !link->quitting;
	return count;
}

static void fail_first(struct destination *destination)
{
	struct outgoing *first;

	for (; destination->failed && (first = TAILQ_FIRST(&destination->line)); destination->failed--) {
		TAILQ_REMOVE(&destination->line, first, link);
		outgoing_refuse(first, RELAY_RESULT(&destination->why, destination->why_host));
	}
	destination->failed = 0;
	reply_release(&destination->why);
}

/* A connection that could not be made costs one message its attempt, unless others work: then there are enough. While
 * another is being made, that is open; what is only temporary counts more. */
static void note_failure(struct destination *destination, const struct reply *why, const char *host)
{
	if (has_worked(destination)) {
		destination->no_more_until_ms = clock_boot_ms() + MORE_AFTER_MS;
		make_room(destination);
		return;
	}
	destination->failed++;
	if (!reply_is_transient(&destination->why)) {
		reply_copy(&destination->why, why);
		xstrset(&destination->why_host, host);
	}
}

static void on_closed(void *arg, struct connection *connection, const struct reply *why)
{
	struct link *link = arg;
	struct destination *destination = link->destination;

	TAILQ_REMOVE(&destination->links, link, entry);
	destination->count--;
	slots_give(destination->settings.slots, link->slot);
	if (link->yielding)
		destination->yield_until_ms = clock_boot_ms() + YIELD_MS;
	if (!reply_is_none(why) && !destination->draining)
		note_failure(destination, why, connection_host(connection));
	if (!count_opening(destination))
		fail_first(destination);
	connection_free(connection);
	free(link);
	run_soon(destination);
}

static const struct connection_owner owner = { on_ready, on_returned, on_closed };

/* ---- what is wanted */

static bool is_tired(const struct connection *connection)
{
	return connection_deliveries(connection) >= TIRED_DELIVERIES || connection_age_ms(connection) >= TIRED_AGE_MS;
}

/* Given up for another process: after many deliveries, or where there is nothing to deliver. */
static bool yields(struct destination *destination, const struct connection *connection, bool has_next)
{
	if ((has_next && !is_tired(connection)) || !slots_are_wanted(destination->settings.slots))
		return false;
	if (is_tired(connection) || connection_idle_ms(connection) >= REFILL_MS)
		return true;
	destination->refills = true;
	return false;
}

/* The first in line that may go over this connection. */
static struct outgoing *next_for(struct destination *destination, const struct connection *connection)
{
	struct outgoing *outgoing;

	TAILQ_FOREACH(outgoing, &destination->line, link)
		if (!outgoing->again || !connection_deliveries(connection))
			return outgoing;
	return NULL;
}

static bool makes_room(struct destination *destination, const struct connection *connection)
{
	const struct outgoing *first = TAILQ_FIRST(&destination->line);
	bool room_wanted = destination->room_wanted && first && first->again;

	if (!connection_deliveries(connection))
		return false;
	destination->room_wanted = false;
	return room_wanted;
}

/* Uses a ready connection, or gives it up for others that wait. */
static void use(struct destination *destination, struct link *link)
{
	struct outgoing *outgoing;

	while (connection_is_ready(link->connection) && !link->quitting) {
		outgoing = next_for(destination, link->connection);
		if (makes_room(destination, link->connection)) {
			quit(link);
		} else if (yields(destination, link->connection, outgoing)) {
			link->yielding = true;
			quit(link);
		} else if (outgoing) {
			TAILQ_REMOVE(&destination->line, outgoing, link);
			outgoing_say_in_line(outgoing, false);
			connection_send(link->connection, outgoing);
		} else {
			if (destination->draining)
				quit(link);
			return;
		}
	}
}

static bool open_link(struct destination *destination)
{
	int slot = slots_take(destination->settings.slots);
	struct link *link;

	if (slot < 0)
		return false;
	link = xcalloc(1, sizeof(*link));
	link->destination = destination;
	link->slot = slot;
	link->connection = connection_open(&destination->settings.connection, &owner, link);
	TAILQ_INSERT_TAIL(&destination->links, link, entry);
	destination->count++;
	return true;
}

/* False if more connections are wanted than can be had. */
static bool open_what_is_wanted(struct destination *destination)
{
	size_t wanted = 0, opening = count_opening(destination) + destination->failed;
	const struct outgoing *outgoing;

	TAILQ_FOREACH(outgoing, &destination->line, link)
		wanted++;
	if (wanted > opening && has_worked(destination) && clock_boot_ms() < destination->no_more_until_ms)
		return true;
	if (wanted > opening && clock_boot_ms() < destination->yield_until_ms)
		return false;
	for (; opening < wanted; opening++) {
		if (!open_link(destination)) {
			if (!opening)
				make_room(destination);
			return false;
		}
	}
	return true;
}

static bool is_idle(const struct destination *destination)
{
	const struct link *link;

	TAILQ_FOREACH(link, &destination->links, entry)
		if (connection_is_ready(link->connection))
			return true;
	return false;
}

static void settle_line(struct destination *destination)
{
	struct outgoing *outgoing;

	while ((outgoing = TAILQ_FIRST(&destination->line))) {
		TAILQ_REMOVE(&destination->line, outgoing, link);
		outgoing_finish(outgoing, RELAY_RESULT(&(struct reply){ 0 }, ""));
	}
}

/* The first in line have each a connection that is being made: that is part of an attempt. */
static void say_who_waits(struct destination *destination)
{
	size_t opening = count_opening(destination) + destination->failed;
	struct outgoing *outgoing;

	TAILQ_FOREACH(outgoing, &destination->line, link) {
		outgoing_say_in_line(outgoing, !opening);
		opening -= opening > 0;
	}
}

static void run_in(struct destination *destination, int64_t ms)
{
	struct timeval later = { ms / 1000, ms % 1000 * 1000 };

	event_add(destination->wake, &later);
}

static void run(struct destination *destination)
{
	struct link *link;
	bool enough;

	destination->refills = false;
	if (destination->draining)
		settle_line(destination);
	TAILQ_FOREACH(link, &destination->links, entry) {
		if (destination->draining && !connection_was_ready(link->connection) && !link->quitting)
			quit(link);
		use(destination, link);
	}
	enough = open_what_is_wanted(destination);
	say_who_waits(destination);
	/* One that has connections gets its turn with those. */
	slots_wait(destination->settings.slots, !enough && !destination->count);
	if (!enough && !destination->count)
		run_in(destination, SLOT_RETRY_MS);
	else if (destination->refills)
		run_in(destination, REFILL_MS);
	else if (is_idle(destination) || !TAILQ_EMPTY(&destination->line))
		run_in(destination, IDLE_LOOK_MS);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	run(arg);
}

static void on_bound(evutil_socket_t fd, short what, void *arg)
{
	struct destination *destination = arg;
	struct link *link;

	(void)fd;
	(void)what;
	TAILQ_FOREACH(link, &destination->links, entry)
		connection_break_off(link->connection);
}

/* ---- messages */

void destination_send(struct destination *destination, struct outgoing *outgoing)
{
	TAILQ_INSERT_TAIL(&destination->line, outgoing, link);
	run_soon(destination);
}

void destination_drain(struct destination *destination, int64_t bound_ms)
{
	struct timeval bound = { bound_ms / 1000, bound_ms % 1000 * 1000 };

	destination->draining = true;
	event_add(destination->bound, &bound);
	run_soon(destination);
}

/* ---- from the start to the end */

struct destination *destination_new(const struct destination_settings *settings)
{
	struct destination *destination = xcalloc(1, sizeof(*destination));

	destination->settings = *settings;
	TAILQ_INIT(&destination->links);
	TAILQ_INIT(&destination->line);
	destination->wake = event_new(settings->connection.base, -1, 0, on_wake, destination);
	destination->bound = event_new(settings->connection.base, -1, 0, on_bound, destination);
	if (!destination->wake || !destination->bound)
		BUG("no event for a destination");
	return destination;
}

static void free_list(struct outgoing_list *list)
{
	struct outgoing *outgoing;

	while ((outgoing = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, outgoing, link);
		outgoing_free(outgoing);
	}
}

void destination_free(struct destination *destination)
{
	struct link *link;

	if (!destination)
		return;
	while ((link = TAILQ_FIRST(&destination->links))) {
		TAILQ_REMOVE(&destination->links, link, entry);
		connection_free(link->connection);
		slots_give(destination->settings.slots, link->slot);
		free(link);
	}
	free_list(&destination->line);
	reply_release(&destination->why);
	free(destination->why_host);
	event_free(destination->wake);
	event_free(destination->bound);
	free(destination);
}
