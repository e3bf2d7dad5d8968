/* claims.c - the worker's job: claim what is due as long as there is room, and see each message to its end
 * SPDX-License-Identifier: MIT */
#include "worker/claims.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/memory.h"

#define CLAIM_BYTES_MAX 67108864	/* of content in one claim */
#define LEASE_MIN_MS 180000
#define LEASE_BEYOND_STEP_MS 120000

struct claimed {
	TAILQ_ENTRY(claimed) link;
	struct claims *claims;
	struct delivery *delivery;
};

struct claims {
	struct delivery_context context;
	TAILQ_HEAD(, claimed) under_way;
	size_t count;
	int64_t lease_ms;
	bool claiming, stopped;
	struct event *wake;
	claims_ended_fn *ended;
	void *arg;
};

static void wake_up(struct claims *claims)
{
	event_active(claims->wake, EV_TIMEOUT, 0);
}

static void on_delivery_ended(void *arg, struct delivery *delivery)
{
	struct claimed *claimed = arg;
	struct claims *claims = claimed->claims;

	(void)delivery;
	TAILQ_REMOVE(&claims->under_way, claimed, link);
	claims->count--;
	free(claimed);
	wake_up(claims);
}

static void begin(struct claims *claims, struct lease *lease)
{
	struct claimed *claimed = xcalloc(1, sizeof(*claimed));

	counter_add(claims->context.counters, COUNTER_WORKER_CLAIMED, 1);
	claimed->claims = claims;
	TAILQ_INSERT_TAIL(&claims->under_way, claimed, link);
	claims->count++;
	claimed->delivery = delivery_begin(&claims->context, &lease, on_delivery_ended, claimed);
	if (claims->stopped)
		delivery_drain(claimed->delivery);
}

static void on_claimed(void *arg, struct lease *const leases[], size_t count)
{
	struct claims *claims = arg;

	claims->claiming = false;
	for (size_t i = 0; i < count; i++)
		begin(claims, leases[i]);
	wake_up(claims);
}

/* Callbacks only wake this up, so that none of them is entered from within another. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct claims *claims = arg;
	unsigned capacity = claims->context.relay->capacity;
	claims_ended_fn *ended = claims->ended;

	(void)fd;
	(void)what;
	if (!claims->stopped && !claims->claiming && claims->count < capacity) {
		claims->claiming = true;
		queue_claim(claims->context.queue, capacity - claims->count, CLAIM_BYTES_MAX, claims->lease_ms,
			on_claimed, claims);
	}
	if (!ended || claims->claiming || claims->count)
		return;
	claims->ended = NULL;
	ended(claims->arg);
}

struct claims *claims_new(const struct delivery_context *context)
{
	struct claims *claims = xcalloc(1, sizeof(*claims));

	claims->context = *context;
	claims->lease_ms = context->relay->step_ms + LEASE_BEYOND_STEP_MS;
	if (claims->lease_ms < LEASE_MIN_MS)
		claims->lease_ms = LEASE_MIN_MS;
	TAILQ_INIT(&claims->under_way);
	claims->wake = event_new(context->base, -1, 0, on_wake, claims);
	if (!claims->wake)
		BUG("no event for the claims");
	wake_up(claims);
	return claims;
}

void claims_drain(struct claims *claims, claims_ended_fn *ended, void *arg)
{
	struct claimed *claimed;

	claims->stopped = true;
	claims->ended = ended;
	claims->arg = arg;
	queue_stop(claims->context.queue);
	relay_drain(claims->context.relay);
	TAILQ_FOREACH(claimed, &claims->under_way, link)
		delivery_drain(claimed->delivery);
	wake_up(claims);
}

void claims_free(struct claims *claims)
{
	struct claimed *claimed;

	if (!claims)
		return;
	while ((claimed = TAILQ_FIRST(&claims->under_way))) {
		TAILQ_REMOVE(&claims->under_way, claimed, link);
		delivery_abandon(claimed->delivery);
		free(claimed);
	}
	event_free(claims->wake);
	free(claims);
}

size_t claims_under_way(const struct claims *claims)
{
	return claims->count;
}
