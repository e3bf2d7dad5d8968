/* destination.c - one next hop: its connections, and the line of messages that wait for one
 * SPDX-License-Identifier: MIT */
#include "worker/destination.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "worker/destination_private.h"

#define SLOT_RETRY_MS 100		/* who waits for a slot tries again */
#define IDLE_LOOK_MS 1000		/* who has idle connections looks whether others wait */
#define REFILL_LOOK_MS 30
#define LINE_MAX 2			/* as many wait as there may be connections, times this */
#define PROBE_MS 1000
#define KEPT_MS 600000			/* what is remembered of a host that works */

void destination_run_soon(struct destination *destination)
{
	event_active(destination->wake, EV_TIMEOUT, 0);
}

static void run_in(struct destination *destination, int64_t ms)
{
	struct timeval later = { ms / 1000, ms % 1000 * 1000 };

	event_add(destination->wake, &later);
}

static int64_t sooner_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool waits_for_slot(const struct destination *destination, bool enough)
{
	/* One that has connections gets its turn with those. */
	return !enough && !destination->count;
}

static void look_again(struct destination *destination, bool enough, int64_t now_ms)
{
	int64_t ms = INT64_MAX;

	if (waits_for_slot(destination, enough))
		ms = SLOT_RETRY_MS;
	if (destination->refills)
		ms = sooner_of(ms, REFILL_LOOK_MS);
	if (!TAILQ_EMPTY(&destination->ready))
		ms = sooner_of(ms, IDLE_LOOK_MS);
	if (!line_is_empty(&destination->line))
		ms = sooner_of(ms, line_look_in_ms(&destination->line, now_ms));
	if (ms < INT64_MAX)
		run_in(destination, ms);
}

/* This struct may be gone after it. */
static void rest(struct destination *destination, int64_t now_ms)
{
	int64_t until_ms = host_failure_kept_until_ms(&destination->failure);

	if (!until_ms && !destination->rest_since_ms)
		destination->rest_since_ms = now_ms;
	if (!until_ms)
		until_ms = destination->rest_since_ms + KEPT_MS;
	if (destination->draining || until_ms <= now_ms) {
		destination->owner->over(destination->arg, destination);
		return;
	}
	run_in(destination, until_ms - now_ms);
	destination->owner->rests(destination->arg, destination);
}

/* Where a host has failed, one message waits for the connection that tries it again; the others for a moment. */
static void refuse_what_fails(struct destination *destination, int64_t now_ms)
{
	const struct host_failure *failure = &destination->failure;

	if (destination->worked || !failure->until_ms)
		return;
	if (host_failure_holds(failure, now_ms))
		line_refuse_all(&destination->line, RELAY_RESULT(&failure->told, failure->host));
	else if (destination->opening && now_ms - destination->probe_since_ms >= PROBE_MS)
		line_refuse_behind(&destination->line, destination->opening, RELAY_RESULT(&failure->why, failure->host));
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct destination *destination = arg;
	struct line *line = &destination->line;
	int64_t now_ms = clock_boot_ms();
	bool enough;

	(void)fd;
	(void)what;
	destination->refills = false;
	if (destination->draining) {
		line_finish_all(line);
		destination_quit_opening(destination);
	} else {
		refuse_what_fails(destination, now_ms);
	}
	destination_use(destination, now_ms);
	line_refuse_excess(line, LINE_MAX * (size_t)destination->settings->concurrent_connections, destination->host, now_ms);
	enough = destination_open_what_is_wanted(destination, now_ms);
	line_say_who_waits(line, destination->opening);
	slots_wait(destination->slots, waits_for_slot(destination, enough));
	if (!destination->count && line_is_empty(line))
		rest(destination, now_ms);
	else
		look_again(destination, enough, now_ms);
}

/* ---- for the owner */

void destination_send(struct destination *destination, struct outgoing *outgoing)
{
	outgoing->again = false;
	destination->rest_since_ms = 0;
	line_add(&destination->line, outgoing, clock_boot_ms());
	destination_run_soon(destination);
}

void destination_drain(struct destination *destination)
{
	destination->draining = true;
	destination_run_soon(destination);
}

void destination_break_off(struct destination *destination)
{
	struct link *link;

	TAILQ_FOREACH(link, &destination->links, entry)
		connection_break_off(link->connection);
}

struct destination *destination_new(const struct destination_settings *settings, const char *host, unsigned port,
	bool requiretls, const struct destination_owner *owner, void *arg)
{
	struct destination *destination = xcalloc(1, sizeof(*destination));

	*destination = (struct destination){ .settings = settings, .owner = owner, .arg = arg, .host = xstrdup(host),
		.connection = settings->connection };
	destination->connection.host = destination->host;
	destination->connection.port = port;
	destination->connection.memory = &destination->memory;
	if (requiretls) {
		destination->connection.tls = settings->strict_tls;
		destination->connection.tls_required = true;
	}
	destination->slots = slots_new(settings->slots, settings->connection.relay, host, port,
		settings->concurrent_connections);
	TAILQ_INIT(&destination->links);
	TAILQ_INIT(&destination->ready);
	line_init(&destination->line, clock_boot_ms());
	destination->wake = event_new(settings->connection.base, -1, 0, on_wake, destination);
	if (!destination->wake)
		BUG("no event for a destination");
	return destination;
}

void destination_free(struct destination *destination)
{
	if (!destination)
		return;
	destination_free_links(destination);
	slots_free(destination->slots);
	line_release(&destination->line);
	host_failure_forget(&destination->failure);
	next_hop_memory_release(&destination->memory);
	reply_release(&destination->why);
	free(destination->why_host);
	event_free(destination->wake);
	free(destination->host);
	free(destination);
}
