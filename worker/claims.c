/* claims.c - the worker's job: claim what is due as long as there is room, and see each message to its end
 * SPDX-License-Identifier: MIT */
#include "worker/claims.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/log.h"
#include "common/base/memory.h"

#define CLAIM_BYTES_MAX 67108864	/* of content in one claim */
#define LEASE_MIN_MS 180000
#define LEASE_BEYOND_STEP_MS 120000

struct claimed {
	TAILQ_ENTRY(claimed) link;
	struct claims *claims;
	struct delivery *delivery;
	struct lease *lease;		/* until its delivery begins */
	uint32_t row;			/* likewise */
	bool alone;
};
TAILQ_HEAD(claimed_list, claimed);

struct claims {
	struct delivery_context context;
	struct claimed_list under_way, suspects;	/* suspects wait to be alone */
	size_t count;			/* of both */
	bool alone;			/* a suspect is under way */
	int64_t lease_ms;
	struct lease **fresh;		/* claimed, while the storage is asked what is suspended */
	size_t fresh_count;
	bool claiming, stopped, over;
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
	if (claimed->alone)
		claims->alone = false;
	free(claimed);
	wake_up(claims);
}

static void begin(struct claims *claims, struct claimed *claimed)
{
	now_release(claims->context.now, claimed->row);
	TAILQ_INSERT_TAIL(&claims->under_way, claimed, link);
	claimed->delivery = delivery_begin(&claims->context, &claimed->lease, on_delivery_ended, claimed);
	if (claims->stopped)
		delivery_drain(claimed->delivery);
}

static void begin_suspect(struct claims *claims, struct claimed *claimed)
{
	TAILQ_REMOVE(&claims->suspects, claimed, link);
	begin(claims, claimed);
}

static void take(struct claims *claims, struct lease *lease)
{
	struct claimed *claimed = xcalloc(1, sizeof(*claimed));

	counter_add(claims->context.counters, COUNTER_WORKER_CLAIMED, 1);
	*claimed = (struct claimed){ .claims = claims, .lease = lease, .row = NOW_NO_ROW };
	claims->count++;
	if (!lease->suspect || claims->stopped) {
		begin(claims, claimed);
		return;
	}
	claimed->row = now_hold(claims->context.now, lease->id);
	TAILQ_INSERT_TAIL(&claims->suspects, claimed, link);
}

/* The next suspect, when nothing else is under way. */
static void let_go_alone(struct claims *claims)
{
	struct claimed *first = TAILQ_FIRST(&claims->suspects);

	if (!first || !TAILQ_EMPTY(&claims->under_way))
		return;
	log_info("worker", "handled alone", LOG_TEXT("id", first->lease->id),
		LOG_TEXT("because", "a worker died in its delivery"));
	claims->alone = first->alone = true;
	begin_suspect(claims, first);
}

static void take_fresh(void *arg)
{
	struct claims *claims = arg;

	claims->claiming = false;
	for (size_t i = 0; i < claims->fresh_count && !claims->over; i++)
		take(claims, claims->fresh[i]);
	free((void *)claims->fresh);
	claims->fresh = NULL;
	claims->fresh_count = 0;
	wake_up(claims);
}

static void on_claimed(void *arg, struct lease *const leases[], size_t count)
{
	struct claims *claims = arg;

	claims->fresh = xcalloc(count + 1, sizeof(struct lease *));
	claims->fresh_count = count;
	for (size_t i = 0; i < count; i++)
		claims->fresh[i] = leases[i];
	if (!count || claims->over || suspended_is_fresh(claims->context.suspended))
		take_fresh(claims);
	else
		suspended_look(claims->context.suspended, take_fresh, claims);
}

/* Callbacks only wake this up, so that none of them is entered from within another. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct claims *claims = arg;
	unsigned capacity = claims->context.relay->capacity;
	claims_ended_fn *ended = claims->ended;

	(void)fd;
	(void)what;
	let_go_alone(claims);
	if (!claims->stopped && !claims->claiming && !claims->alone && TAILQ_EMPTY(&claims->suspects) &&
			claims->count < capacity) {
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
	TAILQ_INIT(&claims->suspects);
	claims->wake = event_new(context->base, -1, 0, on_wake, claims);
	if (!claims->wake)
		BUG("no event for the claims");
	wake_up(claims);
	return claims;
}

void claims_drain(struct claims *claims, int64_t bound_ms, claims_ended_fn *ended, void *arg)
{
	struct claimed *claimed;

	claims->stopped = true;
	claims->ended = ended;
	claims->arg = arg;
	queue_stop(claims->context.queue);
	relay_drain(claims->context.relay, bound_ms);
	TAILQ_FOREACH(claimed, &claims->under_way, link)
		delivery_drain(claimed->delivery);
	while ((claimed = TAILQ_FIRST(&claims->suspects)))
		begin_suspect(claims, claimed);
	wake_up(claims);
}

void claims_stop(struct claims *claims)
{
	struct claimed *claimed;

	if (!claims)
		return;
	claims->stopped = claims->over = true;
	TAILQ_FOREACH(claimed, &claims->under_way, link)
		delivery_stop(claimed->delivery);
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
	/* Their leases went with the queue. */
	while ((claimed = TAILQ_FIRST(&claims->suspects))) {
		TAILQ_REMOVE(&claims->suspects, claimed, link);
		free(claimed);
	}
	free((void *)claims->fresh);
	event_free(claims->wake);
	free(claims);
}

size_t claims_under_way(const struct claims *claims)
{
	return claims->count;
}

bool claims_past_the_dot(const struct claims *claims)
{
	const struct claimed *claimed;

	TAILQ_FOREACH(claimed, &claims->under_way, link)
		if (delivery_is_past_the_dot(claimed->delivery))
			return true;
	return false;
}
