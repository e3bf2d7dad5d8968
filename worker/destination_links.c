/* destination_links.c - the connections to a next hop: made, used, given up
 * SPDX-License-Identifier: MIT */
#include <event2/event.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/destination_private.h"

#define YIELD_MS 300			/* so that another gets the slot that was given up for it */
#define REFILL_MS 30			/* the line may be empty so long without its connections being idle */
#define TIRED_DELIVERIES 100		/* a connection gives way to others who wait ... */
#define TIRED_AGE_MS 60000
#define MORE_AFTER_MS 1000		/* after one could not be made beside those that work */

/* ---- its end */

static void note_quitting(struct link *link)
{
	struct destination *destination = link->destination;

	if (link->quitting)
		return;
	link->quitting = true;
	if (link->worked)
		destination->working--;
	else
		destination->opening--;
}

static void quit(struct link *link)
{
	note_quitting(link);
	connection_quit(link->connection);
}

static void leave_ready(struct link *link)
{
	if (link->is_ready)
		TAILQ_REMOVE(&link->destination->ready, link, ready_entry);
	link->is_ready = false;
}

static void remove_link(struct link *link)
{
	struct destination *destination = link->destination;

	note_quitting(link);
	leave_ready(link);
	TAILQ_REMOVE(&destination->links, link, entry);
	destination->count--;
	destination->worked -= link->worked;
	slots_give(destination->slots, link->slot);
	connection_free(link->connection);
	free(link);
}

/* What goes over new connections only takes the place of the next one that is done, where there is no other. */
static void make_room(struct destination *destination)
{
	const struct link *link;

	if (destination->room_wanted || !destination->line.again_count)
		return;
	TAILQ_FOREACH(link, &destination->links, entry)
		if (link->quitting)
			return;
	destination->room_wanted = true;
	destination_run_soon(destination);
}

/* ---- it could not be made */

/* What is only temporary counts more, and is remembered. What is for good costs one message its attempt. */
static void fail(struct destination *destination)
{
	struct relay_result why = { .reply = &destination->why, .host = destination->why_host };
	int64_t now_ms = clock_boot_ms();

	destination->failed = false;
	if (reply_is_transient(&destination->why)) {
		host_failure_note(&destination->failure, &destination->why, destination->why_host, now_ms);
		log_info("relay", "leaves a next hop alone", LOG_TEXT("relay", destination->connection.relay),
			LOG_TEXT("host", destination->host), LOG_INT("port", destination->connection.port),
			LOG_INT("ms", destination->failure.wait_ms));
		line_refuse_all(&destination->line, &why);
	} else {
		line_refuse_first(&destination->line, &why);
	}
	reply_release(&destination->why);
}

/* Beside others that work it is no failure: there are enough then. While another is being made, that is open. */
static void note_failure(struct destination *destination, const struct reply *why, const char *host)
{
	if (destination->worked) {
		destination->no_more_until_ms = clock_boot_ms() + MORE_AFTER_MS;
		make_room(destination);
		return;
	}
	destination->failed = true;
	if (!reply_is_transient(&destination->why)) {
		reply_copy(&destination->why, why);
		xstrset(&destination->why_host, host);
	}
}

/* ---- what connections tell */

static void on_ready(void *arg, struct connection *connection)
{
	struct link *link = arg;
	struct destination *destination = link->destination;

	(void)connection;
	if (!link->worked) {
		link->worked = true;
		destination->worked++;
		if (!link->quitting) {
			destination->opening--;
			destination->working++;
		}
		if (destination->failed)
			destination->no_more_until_ms = clock_boot_ms() + MORE_AFTER_MS;
		destination->failed = false;
		reply_release(&destination->why);
		host_failure_forget(&destination->failure);
	}
	leave_ready(link);
	link->is_ready = true;
	TAILQ_INSERT_HEAD(&destination->ready, link, ready_entry);
	destination_run_soon(destination);
}

static void on_returned(void *arg, struct connection *connection, struct outgoing *outgoing, const struct reply *why)
{
	struct link *link = arg;
	struct destination *destination = link->destination;

	destination_run_soon(destination);
	if (destination->draining) {
		outgoing_finish(outgoing, RELAY_RESULT(why, connection_host(connection)));
	} else if (outgoing->again) {
		outgoing->again = false;
		outgoing_refuse(outgoing, RELAY_RESULT(why, connection_host(connection)));
	} else {
		outgoing->again = true;
		line_add_again(&destination->line, outgoing);
	}
}

static void on_closed(void *arg, struct connection *connection, const struct reply *why)
{
	struct link *link = arg;
	struct destination *destination = link->destination;
	bool yielding = link->yielding;

	if (!reply_is_none(why) && !destination->draining) {
		note_quitting(link);
		note_failure(destination, why, connection_host(connection));
	}
	remove_link(link);
	if (yielding)
		destination->yield_until_ms = clock_boot_ms() + YIELD_MS;
	if (destination->failed && !destination->opening)
		fail(destination);
	destination_run_soon(destination);
}

static const struct connection_owner owner = { on_ready, on_returned, on_closed };

/* ---- used, or given up */

static bool is_tired(const struct connection *connection)
{
	return connection_deliveries(connection) >= TIRED_DELIVERIES || connection_age_ms(connection) >= TIRED_AGE_MS;
}

/* Given up for another: after many deliveries, or where there is nothing to deliver. One at a time: who gets it may not
 * want more. */
static bool yields(struct destination *destination, const struct connection *connection, int64_t now_ms)
{
	bool has_next = destination->line.count || (destination->line.again_count && !connection_deliveries(connection));

	if ((has_next && !is_tired(connection)) || now_ms < destination->yield_until_ms)
		return false;
	if (!is_tired(connection) && connection_idle_ms(connection) < REFILL_MS) {
		destination->refills = true;
		return false;
	}
	if (!slots_are_wanted(destination->slots))
		return false;
	destination->yield_until_ms = now_ms + YIELD_MS;
	return true;
}

static bool makes_room(struct destination *destination, const struct connection *connection)
{
	bool room_wanted = destination->room_wanted && destination->line.again_count;

	if (!connection_deliveries(connection))
		return false;
	destination->room_wanted = false;
	return room_wanted;
}

static void use(struct destination *destination, struct link *link, int64_t now_ms)
{
	struct outgoing *outgoing;

	while (connection_is_ready(link->connection) && !link->quitting) {
		if (makes_room(destination, link->connection)) {
			quit(link);
		} else if (yields(destination, link->connection, now_ms)) {
			link->yielding = true;
			quit(link);
		} else if ((outgoing = line_take(&destination->line, !connection_deliveries(link->connection), now_ms))) {
			connection_send(link->connection, outgoing);
		} else if (destination->draining) {
			quit(link);
		} else {
			link->is_ready = true;
			TAILQ_INSERT_TAIL(&destination->ready, link, ready_entry);
			return;
		}
	}
}

void destination_use(struct destination *destination, int64_t now_ms)
{
	struct link_list ready;
	struct link *link;

	TAILQ_INIT(&ready);
	TAILQ_CONCAT(&ready, &destination->ready, ready_entry);
	while ((link = TAILQ_FIRST(&ready))) {
		TAILQ_REMOVE(&ready, link, ready_entry);
		link->is_ready = false;
		use(destination, link, now_ms);
	}
}

void destination_quit_opening(struct destination *destination)
{
	struct link *link;

	TAILQ_FOREACH(link, &destination->links, entry)
		if (!link->worked && !link->quitting)
			quit(link);
}

/* ---- made */

static bool open_link(struct destination *destination)
{
	int slot = slots_take(destination->slots);
	struct link *link;

	if (slot < 0)
		return false;
	link = xcalloc(1, sizeof(*link));
	link->destination = destination;
	link->slot = slot;
	TAILQ_INSERT_TAIL(&destination->links, link, entry);
	destination->count++;
	destination->opening++;
	if (!destination->worked)
		destination->probe_since_ms = clock_boot_ms();
	link->connection = connection_open(&destination->connection, &owner, link);
	return true;
}

/* One is tried where none is known to work: what becomes of it is what becomes of all that wait. */
static bool wants_another(const struct destination *destination, int64_t now_ms)
{
	const struct line *line = &destination->line;

	if (line_is_empty(line))
		return false;
	if (!destination->worked)
		return !destination->opening;
	if (now_ms < destination->no_more_until_ms)
		return false;
	if (line->again_count > destination->opening)
		return true;
	return !destination->opening && (!destination->working || line_is_long(line, destination->working, now_ms));
}

bool destination_open_what_is_wanted(struct destination *destination, int64_t now_ms)
{
	while (wants_another(destination, now_ms)) {
		if (now_ms < destination->yield_until_ms)
			return false;
		if (!open_link(destination)) {
			if (!destination->opening)
				make_room(destination);
			return false;
		}
	}
	return true;
}

void destination_free_links(struct destination *destination)
{
	struct link *link;

	while ((link = TAILQ_FIRST(&destination->links)))
		remove_link(link);
}
